/** Connection storm: many connections at once, opened and held, never used. They end with this process. */
import { connect, type Socket } from "node:net";
import type { MemberInjector } from "../run/injector.ts";
import { noEffect, notUndone, seenWithin } from "../run/seen.ts";

export const connectionStorm: MemberInjector<"connection-storm"> = {
  refusal: (_fault, member) => (member.address ? undefined : `the target says no address of ${member.name}`),
  async inject({ connections }, member, context) {
    const what = `connection-storm on ${member.name}`;
    const { host, port } = member.address as { host: string; port: number };
    const open = new Set<Socket>();
    const refused = new Map<string, number>();
    let opened = 0;
    const sockets = Array.from({ length: connections }, () => {
      const socket = connect({ host, port });
      socket.on("connect", () => {
        opened++;
        open.add(socket);
      });
      let code: string | undefined;
      socket.on("error", (error: NodeJS.ErrnoException) => {
        code = error.code ?? "an error";
      });
      socket.on("data", () => {}); // a greeting must not keep the socket from seeing its end
      socket.on("close", () => {
        open.delete(socket);
        const how = code ?? "closed by the server";
        refused.set(how, (refused.get(how) ?? 0) + 1);
      });
      return socket;
    });
    const turnedAway = () => [...refused.values()].reduce((sum, count) => sum + count, 0);
    const settled = await seenWithin(
      () => (opened + turnedAway() >= connections || open.size === connections ? "settled" : undefined),
      context,
    );
    const told = [...refused].map(([how, count]) => `${count} ${how}`).join(", ");
    const waiting = connections - open.size - turnedAway();
    const effect = `${open.size} of ${connections} connections are open${told && `, turned away: ${told}`}${waiting > 0 ? `, ${waiting} without an answer` : ""}`;
    const end = async () => {
      for (const socket of sockets) socket.destroy();
      const seen = await seenWithin(() => (open.size === 0 ? "all of them are closed" : undefined), context);
      if (seen === undefined) throw notUndone(what, `${open.size} are still open`);
      return seen;
    };
    // Nobody listens there: that is no storm on anybody.
    if (settled === undefined && open.size === 0 && turnedAway() === 0) {
      await end();
      throw noEffect(what, "no connection was answered in any way");
    }
    if (
      opened === 0 &&
      [...refused.keys()].every((code) => code !== "closed by the server" && code !== "ECONNRESET")
    ) {
      await end();
      throw noEffect(what, `no connection was opened: ${told}`);
    }
    return { by: "connections of this process", effect, undo: end };
  },
};

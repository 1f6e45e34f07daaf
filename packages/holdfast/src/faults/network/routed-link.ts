/** The link between two nodes of a fault network, cut and slowed in its router. */

import type { LinkFault, LinkWay } from "../link/link-way.ts";
import type { RoundTrip } from "../link/round-trip.ts";
import type { Direction } from "../plan/fault.ts";
import type { UndoEntry, UndoGuard } from "../undo/undo-guard.ts";
import { command } from "./ip-command.ts";
import type { NamespaceHelper } from "./namespace-helper.ts";

export interface NetworkNode {
  readonly name: string;
  readonly address: string;
  /** Undefined is the namespace of this process. */
  readonly namespace: string | undefined;
  /** The router's interface to it. */
  readonly port: string;
  readonly helper: NamespaceHelper;
}

export interface Router {
  readonly namespace: string;
  readonly guard: UndoGuard;
  /** Why there is no delay; undefined when there is. */
  readonly noNetem: string | undefined;
  /** Why there is no bound on bandwidth; undefined when there is. */
  readonly noHtb: string | undefined;
}

/** Kept for packets that nobody shapes. */
const unshapedRate = "100gbit";
let made = 0;

export class RoutedLink implements LinkWay {
  readonly name = "network namespaces";
  readonly #router: Router;
  readonly #from: NetworkNode;
  readonly #to: NetworkNode;
  readonly #undos = new Map<
    LinkFault,
    { readonly commands: (readonly string[])[]; readonly entry: UndoEntry }
  >();

  constructor(router: Router, from: NetworkNode, to: NetworkNode) {
    this.#router = router;
    this.#from = from;
    this.#to = to;
  }

  refusal(fault: LinkFault): string | undefined {
    if (fault.kind === "latency") return this.#router.noNetem ?? this.#router.noHtb;
    if (fault.kind === "bandwidth") return this.#router.noHtb;
    if (fault.kind === "reset") return "network namespaces drop and slow packets, and reset no connections";
    return undefined;
  }

  async apply(fault: LinkFault): Promise<void> {
    const { direction = "both" } = fault as { direction?: Direction };
    const steps: { readonly begin: readonly string[]; readonly end: readonly string[] }[] = [];
    if (direction !== "back") steps.push(...this.#steps(fault, this.#from, this.#to));
    if (direction !== "forward") steps.push(...this.#steps(fault, this.#to, this.#from));
    const commands = steps.map(({ end }) => end).reverse();
    const entry = await this.#router.guard.promise(commands.map((words) => words.join(" ")).join("; "));
    this.#undos.set(fault, { commands, entry });
    try {
      for (const { begin } of steps) await run(begin);
    } catch (error) {
      await this.clear(fault);
      throw error;
    }
  }

  async clear(fault: LinkFault): Promise<void> {
    const undo = this.#undos.get(fault);
    if (!undo) return;
    this.#undos.delete(fault);
    // All of them, also when one was never begun: what is left is seen by the probe.
    for (const words of undo.commands) await run(words).catch(() => {});
    await undo.entry.kept();
  }

  async attempt(bytes: number, boundMs: number): Promise<RoundTrip> {
    const port = await this.#to.helper.echoPort();
    return this.#from.helper.attempt({ host: this.#to.address, port, bytes, boundMs });
  }

  /** What is done in the router to packets of one way, and how it is taken back. */
  #steps(fault: LinkFault, from: NetworkNode, to: NetworkNode) {
    const { namespace } = this.#router;
    const number = ++made;
    if (fault.kind === "partition" || fault.kind === "blackhole") {
      const rule = [
        "pref",
        String(100 + (number % 30_000)),
        "from",
        from.address,
        "to",
        to.address,
        "blackhole",
      ];
      const ip = ["ip", "-n", namespace, "rule"];
      return [{ begin: [...ip, "add", ...rule], end: [...ip, "del", ...rule] }];
    }
    // A class of its own for what comes from there; what nobody shapes goes past it.
    const tc = (what: string, act: string) => ["tc", "-n", namespace, what, act, "dev", to.port];
    const classId = `1:${((number % 0xfff0) + 1).toString(16)}`;
    const prio = ["parent", "1:", "prio", String((number % 0xfff0) + 1), "protocol", "ip"];
    const bytes = fault.kind === "bandwidth" ? `${fault.bytesPerSecond * 8}bit` : unshapedRate;
    const burst = fault.kind === "bandwidth" ? ["burst", "3000", "cburst", "3000"] : [];
    const steps = [
      // The root stays for the next fault; a second one like it is the same.
      {
        begin: ["tc", "-n", namespace, "qdisc", "replace", "dev", to.port, "root", "handle", "1:", "htb"],
        end: ["true"],
      },
      {
        begin: [...tc("class", "add"), "parent", "1:", "classid", classId, "htb", "rate", bytes, ...burst],
        end: [...tc("class", "del"), "classid", classId],
      },
    ];
    if (fault.kind === "latency") {
      const { delayMs, jitterMs = 0 } = fault;
      const netem = [
        "netem",
        "delay",
        `${delayMs}ms`,
        ...(jitterMs > 0 ? [`${jitterMs}ms`] : []),
        "limit",
        "100000",
      ];
      steps.push({ begin: [...tc("qdisc", "add"), "parent", classId, ...netem], end: ["true"] });
    }
    steps.push({
      begin: [
        ...tc("filter", "add"),
        ...prio,
        "u32",
        "match",
        "ip",
        "src",
        `${from.address}/32`,
        "flowid",
        classId,
      ],
      end: [...tc("filter", "del"), ...prio],
    });
    return steps;
  }
}

async function run([program, ...args]: readonly string[]): Promise<void> {
  if (program === "ip" || program === "tc") await command(program, args);
}

/**
 * Real etcd for tests: three members by default, on free loopback ports, with a leader.
 *
 *   await using etcd = await startTestEtcd();
 *   await etcd.members[0].call("kv/put", { key: base64("a"), value: base64("1") });
 *   const leader = await etcd.leader();
 *   await leader.kill();                                // and then (await etcd.leader()) is another one
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { systemRandom } from "../clock/index.ts";
import { randomPassword } from "../engines/postgres/embedded/index.ts";
import { startCluster, startTogether } from "./cluster.ts";
import { findProgram } from "./debian.ts";
import { ServerProcess, type TestServer } from "./server-process.ts";
import { until } from "./wait.ts";

export interface TestEtcdOptions {
  /** Default 3. */
  readonly members?: number;
  /** Keep the data on disk. Default false: in memory where the system offers enough. */
  readonly onDisk?: boolean;
}

export interface EtcdMember extends TestServer {
  readonly url: string;
  /**
   * Calls the JSON gateway: `call("kv/range", { key })` posts to `/v3/kv/range`. Bytes are in base64.
   *
   * @throws {Error} when the member does not answer within `timeoutMs` (default 5_000) or answers an error
   */
  call(path: string, body?: object, options?: { timeoutMs?: number }): Promise<Record<string, unknown>>;
}

export interface TestEtcd extends AsyncDisposable {
  readonly members: readonly EtcdMember[];
  /** Resolves with the member that a majority follows, as soon as there is one. */
  leader(options?: { timeoutMs?: number }): Promise<EtcdMember>;
  /** Ends the members and removes everything. Can run twice. */
  stop(): Promise<void>;
}

export async function startTestEtcd(options: TestEtcdOptions = {}): Promise<TestEtcd> {
  const { members: count = 3, onDisk = false } = options;
  const command = await findProgram({ names: ["etcd"], debianPackage: "etcd-server" });
  const cluster = await startCluster<Member, { servers: Member[]; form(): Promise<void> }>(
    { ports: 2 * count, onDisk },
    async (dir, ports) => {
      // A name that no other cluster has: nobody takes a stranger on the same port for a member.
      const token = randomPassword(systemRandom);
      const peers = Array.from({ length: count }, (_, index) => ({
        name: `etcd-${index + 1}-${token}`,
        url: `http://127.0.0.1:${ports[count + index]}`,
      }));
      const initial = peers.map(({ name, url }) => `${name}=${url}`).join(",");
      const servers: Member[] = [];
      for (const [index, peer] of peers.entries()) {
        const home = join(dir, `etcd-${index + 1}`);
        await mkdir(home, { mode: 0o700 });
        servers.push(new Member(command, home, `etcd-${index + 1}`, ports[index] as number, peer, initial));
      }
      const form = async () => {
        await startTogether(servers);
        await electedAmong(servers, count, 30_000);
      };
      return { servers, form };
    },
  );
  const { servers } = cluster.plan;
  return {
    members: servers,
    leader: ({ timeoutMs = 15_000 } = {}) => electedAmong(servers, majority(count), timeoutMs),
    stop: cluster.stop,
    [Symbol.asyncDispose]: cluster.stop,
  };
}

class Member extends ServerProcess implements EtcdMember {
  readonly url: string;

  constructor(
    command: string,
    dir: string,
    name: string,
    port: number,
    peer: { name: string; url: string },
    initial: string,
  ) {
    const url = `http://127.0.0.1:${port}`;
    const flags: Record<string, string> = {
      name: peer.name,
      "data-dir": join(dir, "data"),
      "listen-client-urls": url,
      "advertise-client-urls": url,
      "listen-peer-urls": peer.url,
      "initial-advertise-peer-urls": peer.url,
      "initial-cluster": initial,
      "initial-cluster-state": "new",
      "initial-cluster-token": peer.name.replace(/^etcd-\d+-/, ""),
      logger: "zap",
    };
    super({
      name,
      command,
      args: Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
      dir,
      port,
      // etcd 3.4 refuses to start on other processors than x64 unless it is told that this is on purpose.
      env: process.arch === "x64" ? {} : { ETCD_UNSUPPORTED_ARCH: process.arch },
      answers: async () => {
        const { members } = (await this.call("cluster/member/list")) as { members?: { name?: string }[] };
        return members?.some((member) => member.name === peer.name) ?? false;
      },
    });
    this.url = url;
  }

  async call(path: string, body: object = {}, { timeoutMs = 5_000 } = {}): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.url}/v3/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = (await response.json()) as Record<string, unknown>;
    if (!response.ok) throw new Error(`${this.name} answered ${response.status}: ${JSON.stringify(answer)}`);
    return answer;
  }
}

interface Status {
  readonly header?: { readonly member_id?: string };
  readonly leader?: string;
  readonly raftTerm?: string;
}

/** The member that `votes` members of one term follow, itself included. */
function electedAmong(members: readonly Member[], votes: number, timeoutMs: number): Promise<Member> {
  const look = async () => {
    const answers = await Promise.all(
      members.map(async (member) => {
        if (!member.running) return undefined;
        const status: Status | undefined = await member
          .call("maintenance/status", {}, { timeoutMs: 1_000 })
          .catch(() => undefined);
        return status && { member, status };
      }),
    );
    const known = answers.filter((answer) => answer !== undefined);
    return known.find(({ status: { header, leader, raftTerm } }) => {
      if (leader === undefined || leader !== header?.member_id) return false;
      const followers = known.filter(
        ({ status }) => status.leader === leader && status.raftTerm === raftTerm,
      );
      return followers.length >= votes;
    })?.member;
  };
  return until(look, { timeoutMs, everyMs: 50, what: `an etcd leader that ${votes} members follow` });
}

function majority(count: number): number {
  return Math.floor(count / 2) + 1;
}

/**
 * A network of one's own: each node lives in a network namespace with an address of its own, and all of them are
 * joined by a router in another. Links are cut and slowed in the router, where no node can see it.
 *
 *   await using network = await openFaultNetwork({ nodes: ["a", "b"], clock, guard });
 *   spawn(...network.inside("a", ["node", "server.js"]));     // listens on network.address("a")
 *   network.link("a", "b")                                    // the `network` of a LinkControl
 *
 * This process is a node too, named `host`: it reaches the others, and its links can be cut as well.
 *
 * Packets are dropped by routing rules (`blackhole`), which every kernel with policy routing has. Delay takes netem
 * and a bound on bandwidth takes htb; what the kernel lacks is found out when the network is opened.
 */
import { HoldfastError } from "../../call/index.ts";
import { type Clock, randomInt } from "../../clock/index.ts";
import type { LinkWay } from "../link/link-way.ts";
import type { UndoEntry, UndoGuard } from "../undo/undo-guard.ts";
import { command, refusalOf } from "./ip-command.ts";
import { NamespaceHelper } from "./namespace-helper.ts";
import { type NetworkNode, RoutedLink, type Router } from "./routed-link.ts";

export interface FaultNetworkOptions {
  /** Names of the nodes, at most 200. `host` is this process. */
  readonly nodes: readonly string[];
  readonly clock: Clock;
  /** Removes the network when this process is killed. */
  readonly guard: UndoGuard;
}

export interface FaultNetwork extends AsyncDisposable {
  /** Where a node listens, as others reach it. */
  address(node: string): string;
  /** Program and arguments that run `command` on the node. */
  inside(node: string, command: readonly [string, ...string[]]): [string, string[]];
  /** The link between two nodes; either may be `host`. */
  link(from: string, to: string): LinkWay;
  /** Removes it. Processes inside are cut off for good; end them first. Can run twice. */
  close(): Promise<void>;
}

const nodesMax = 200;
const attemptsMax = 20;
let opened = 0;

/** @throws {HoldfastError} HOLDFAST_FAULT_REFUSED when this machine has or allows no namespaces */
export async function openFaultNetwork(options: FaultNetworkOptions): Promise<FaultNetwork> {
  const { nodes, clock, guard } = options;
  if (
    nodes.length === 0 ||
    nodes.length > nodesMax ||
    new Set([...nodes, "host"]).size !== nodes.length + 1
  ) {
    throw new RangeError(
      `nodes should be 1 to ${nodesMax} different names other than host, got ${JSON.stringify(nodes)}`,
    );
  }
  const id = `hf${process.pid.toString(36)}${(++opened).toString(36)}`;
  const network = new Network(id, await freePrefix(clock), clock, guard);
  try {
    await network.open(nodes);
  } catch (error) {
    await network.close();
    throw new HoldfastError(
      "HOLDFAST_FAULT_REFUSED",
      `No network namespaces could be made: ${(error as Error).message}. Run as root on Linux with iproute2, or lead links through fault proxies (startFaultProxy).`,
      { cause: error },
    );
  }
  return network;
}

class Network implements FaultNetwork {
  readonly #id: string;
  readonly #prefix: string;
  readonly #clock: Clock;
  readonly #guard: UndoGuard;
  readonly #nodes = new Map<string, NetworkNode>();
  readonly #links = new Map<string, RoutedLink>();
  readonly #entries: UndoEntry[] = [];
  #router: Router | undefined;
  #closing: Promise<void> | undefined;

  constructor(id: string, prefix: string, clock: Clock, guard: UndoGuard) {
    this.#id = id;
    this.#prefix = prefix;
    this.#clock = clock;
    this.#guard = guard;
  }

  async open(names: readonly string[]): Promise<void> {
    const router = await this.#namespace("r");
    await command("ip", ["-n", router, "link", "set", "lo", "up"]);
    // A value of the namespace, so nobody else's packets are forwarded by it.
    await command("ip", ["netns", "exec", router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"]);
    for (const [index, name] of ["host", ...names].entries()) await this.#join(router, name, index + 1);
    this.#router = {
      namespace: router,
      guard: this.#guard,
      noNetem: await this.#lacks(router, "netem", ["netem", "delay", "1ms"]),
      noHtb: await this.#lacks(router, "htb", ["handle", "1:", "htb"]),
    };
  }

  address(node: string): string {
    return this.#node(node).address;
  }

  inside(node: string, [program, ...args]: readonly [string, ...string[]]): [string, string[]] {
    const { namespace } = this.#node(node);
    if (namespace === undefined) return [program, args];
    return ["ip", ["netns", "exec", namespace, program, ...args]];
  }

  link(from: string, to: string): LinkWay {
    const key = JSON.stringify([from, to]);
    let link = this.#links.get(key);
    if (!link) {
      link = new RoutedLink(this.#router as Router, this.#node(from), this.#node(to));
      this.#links.set(key, link);
    }
    return link;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map(({ helper }) => helper.close()));
    const namespaces = await command("ip", ["netns", "list"]).catch(() => "");
    for (const line of namespaces.split("\n")) {
      const name = line.split(" ")[0] as string;
      if (name.startsWith(`${this.#id}-`)) await command("ip", ["netns", "del", name]);
    }
    for (const entry of this.#entries) await entry.kept();
  }

  #node(name: string): NetworkNode {
    const node = this.#nodes.get(name);
    if (!node)
      throw new RangeError(`there is no node ${name}; there are ${[...this.#nodes.keys()].join(", ")}`);
    return node;
  }

  async #namespace(suffix: string): Promise<string> {
    const name = `${this.#id}-${suffix}`;
    this.#entries.push(await this.#guard.promise(`ip netns del ${name}`));
    await command("ip", ["netns", "add", name]);
    return name;
  }

  /** A pair of interfaces from the node to the router, and routes both ways. */
  async #join(router: string, name: string, number: number): Promise<void> {
    const address = `${this.#prefix}.${number}`;
    const gateway = `${this.#prefix}.254`;
    const port = `p${number}`;
    const own = name === "host" ? `${this.#id}h` : "eth0";
    const temporary = `${this.#id}n${number}`;
    const namespace = name === "host" ? undefined : await this.#namespace(`n${number}`);
    const at = namespace === undefined ? [] : ["-n", namespace];
    // Made from here: the namespace of this process has no name by which the router's could reach it.
    await command("ip", [
      "link",
      "add",
      own === "eth0" ? temporary : own,
      "type",
      "veth",
      "peer",
      "name",
      port,
      "netns",
      router,
    ]);
    if (namespace !== undefined) {
      await command("ip", ["link", "set", temporary, "netns", namespace, "name", own]);
    }
    await command("ip", ["-n", router, "addr", "add", `${gateway}/32`, "dev", port]);
    await command("ip", ["-n", router, "link", "set", port, "up"]);
    await command("ip", ["-n", router, "route", "add", `${address}/32`, "dev", port]);
    await command("ip", [...at, "addr", "add", `${address}/32`, "dev", own]);
    await command("ip", [...at, "link", "set", own, "up"]);
    if (namespace !== undefined) await command("ip", [...at, "link", "set", "lo", "up"]);
    await command("ip", [...at, "route", "add", `${gateway}/32`, "dev", own]);
    await command("ip", [...at, "route", "add", `${this.#prefix}.0/24`, "via", gateway]);
    this.#nodes.set(name, {
      name,
      address,
      namespace,
      port,
      helper: new NamespaceHelper(namespace, address, this.#clock),
    });
  }

  async #lacks(router: string, what: string, qdisc: readonly string[]): Promise<string | undefined> {
    const refused = await refusalOf("tc", ["-n", router, "qdisc", "add", "dev", "lo", "root", ...qdisc]);
    if (refused === undefined) {
      await command("tc", ["-n", router, "qdisc", "del", "dev", "lo", "root"]);
      return undefined;
    }
    return /unknown/i.test(refused) ? `this kernel has no ${what}` : `tc refused ${what}: ${refused}`;
  }
}

/** The first three numbers of addresses that nobody here uses. */
async function freePrefix(clock: Clock): Promise<string> {
  const taken = await command("ip", ["-o", "-4", "route", "show", "table", "all"]).catch(() => "");
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const prefix = `10.${200 + randomInt(clock.random, 50)}.${randomInt(clock.random, 256)}`;
    if (!taken.includes(`${prefix}.`)) return prefix;
  }
  throw new Error("no free range of addresses was found among 10.200.0.0 to 10.249.255.255");
}

/**
 * A selective queue as simply as it can be said, for tests: the twin of what the functions of the server do.
 *
 * Groups that can be served stand in a line. One that becomes able to joins at the end; one that was served goes to the
 * end. A claim goes through the line again and again, and takes one job of each group each time, as long as groups have
 * jobs, room and tokens.
 */
export interface ModelRules {
  readonly ordered: boolean;
  readonly groupMax: number | undefined;
  readonly queueMax: number | undefined;
  /** Jobs of a group that may begin in all: a bucket that never fills. */
  readonly groupTokens: number | undefined;
}

interface ModelJob {
  readonly name: string;
  readonly group: string;
  /** Lower first. */
  place: number;
  state: "waiting" | "active";
}

export class GroupModel {
  readonly #rules: ModelRules;
  readonly #jobs: ModelJob[] = [];
  readonly #begun = new Map<string, number>();
  #line: string[] = [];
  #places = 0;

  constructor(rules: ModelRules) {
    this.#rules = rules;
  }

  enqueue(
    jobs: readonly { readonly name: string; readonly group: string; readonly priority: number }[],
  ): void {
    for (const { name, group, priority } of jobs) {
      // A level of priority is worth more than all the waiting of a test.
      const place = this.#places++ - (this.#rules.ordered ? 0 : priority * 1e9);
      this.#jobs.push({ name, group, place, state: "waiting" });
    }
    this.#settle(jobs.map(({ group }) => group));
  }

  claim(most: number): string[] {
    const taken: string[] = [];
    const served: string[] = [];
    const active = this.#jobs.filter(({ state }) => state === "active").length;
    const room = Math.min(most, (this.#rules.queueMax ?? Infinity) - active);
    let line = [...this.#line];
    while (taken.length < room && line.length > 0) {
      const able: string[] = [];
      for (const group of line) {
        const head = this.#head(group);
        if (!head || taken.length >= room) continue;
        head.state = "active";
        this.#begun.set(group, (this.#begun.get(group) ?? 0) + 1);
        taken.push(head.name);
        served.push(group);
        able.push(group);
      }
      line = able;
    }
    const last = [...new Set(served.toReversed())].toReversed();
    this.#line = [...this.#line.filter((group) => !last.includes(group)), ...last];
    this.#settle(last);
    return taken;
  }

  /** `back`: it waits again, where it stood. */
  end(name: string, back: boolean): void {
    const at = this.#jobs.findIndex((one) => one.name === name);
    const ended = this.#jobs[at] as ModelJob;
    if (back) ended.state = "waiting";
    else this.#jobs.splice(at, 1);
    this.#settle([ended.group]);
  }

  /** The next job of a group that may begin now. */
  #head(group: string): ModelJob | undefined {
    const jobs = this.#jobs.filter((one) => one.group === group);
    const running = jobs.filter(({ state }) => state === "active").length;
    const { groupMax = Infinity, groupTokens = Infinity, ordered } = this.#rules;
    if (running >= (ordered ? 1 : groupMax) || (this.#begun.get(group) ?? 0) >= groupTokens) return undefined;
    return jobs.filter(({ state }) => state === "waiting").sort((a, b) => a.place - b.place)[0];
  }

  #settle(groups: readonly string[]): void {
    for (const group of new Set(groups)) {
      const isAble = this.#head(group) !== undefined;
      const stands = this.#line.includes(group);
      if (isAble && !stands) this.#line.push(group);
      if (!isAble && stands) this.#line = this.#line.filter((one) => one !== group);
    }
  }
}

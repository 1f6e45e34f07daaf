/** Bytes as real servers sent them (`fixtures/captured.json`, from 15 and 18), and what is made of them. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readPgoutput, readStreamMessage } from "./pgoutput.ts";

interface Captured {
  readonly server: string;
  readonly messages: readonly string[];
}

const captured = JSON.parse(
  readFileSync(new URL("./fixtures/captured.json", import.meta.url), "utf8"),
) as readonly Captured[];

test.each(captured)("what Postgres $server sent is read whole", ({ server, messages }) => {
  const read = messages.map((hex) => readStreamMessage(Buffer.from(hex, "hex")));
  const all = read.flatMap((one) => (one.kind === "data" ? [one.message] : []));
  const kinds = all.map(({ kind }) => kind);
  // Tables and types are described whenever the server thinks that they may have changed.
  expect(kinds.filter((kind) => kind !== "type" && kind !== "relation")).toEqual([
    ...["begin", "insert", "insert", "commit"],
    ...["begin", "update", "commit"],
    ...["begin", "update", "commit"],
    ...["begin", "delete", "commit"],
    ...["begin", "update", "commit"],
    ...["begin", "delete", "commit"],
    ...(server === "15" ? ["begin", "origin", "insert", "commit"] : []),
    ...["begin", "truncate", "commit"],
  ]);
  const [begin, relation] = all.filter(({ kind }) => kind !== "type");
  expect(begin).toMatchObject({ kind: "begin", atMs: expect.any(Number), xid: expect.any(Number) });
  expect(relation).toMatchObject({
    schema: "s3_m12",
    table: "thing",
    replicaIdentity: "d",
    columns: [
      { name: "id", identity: true, typeOid: 25 },
      { name: "n", identity: false, typeOid: 23 },
      { name: "body", identity: false, typeOid: 25 },
      { name: "mood", identity: false },
    ],
  });
  const of = (kind: string) => all.filter((one) => one.kind === kind);
  const [first, second] = of("insert") as unknown as { after: (string | null)[] }[];
  expect(first?.after).toEqual(["漢字", "1", expect.stringMatching(/^[0-9a-f]{3200}$/), "glad"]);
  expect(second?.after).toEqual(["b", null, "", "sad"]);
  expect(of("update")).toMatchObject([
    // The large value was not touched.
    { before: undefined, after: ["漢字", "2", undefined, "glad"] },
    { before: { of: "K", tuple: ["b", null, null, null] }, after: ["c", null, "", "sad"] },
    {
      before: { of: "O", tuple: ["漢字", "2", expect.any(String), "glad"] },
      after: ["漢字", "3", undefined, "glad"],
    },
  ]);
  expect(of("delete")).toMatchObject([
    { before: { of: "K", tuple: ["c", null, null, null] } },
    { before: { of: "O", tuple: ["漢字", "3", expect.any(String), "glad"] } },
  ]);
  const places = [...of("begin"), ...of("commit")] as { commitLsn: bigint; endLsn?: bigint }[];
  for (const { commitLsn, endLsn } of places)
    if (endLsn !== undefined) expect(endLsn).toBeGreaterThan(commitLsn);
});

test("a keepalive says how far the server is, and whether it wants an answer", () => {
  const bytes = Buffer.alloc(18);
  bytes.write("k", 0, "latin1");
  bytes.writeBigUInt64BE(0x16b374d848n, 1);
  bytes.writeUInt8(1, 17);
  expect(readStreamMessage(bytes)).toEqual({ kind: "keepalive", lsn: 0x16b374d848n, reply: true });
});

test("what is no message, or is cut off, is refused rather than guessed", () => {
  expect(() => readPgoutput(Buffer.from("Z"))).toThrow(/no message "Z"/);
  expect(() => readStreamMessage(Buffer.from("x"))).toThrow(/no message "x"/);
  const insert = captured[0]?.messages.map((hex) => Buffer.from(hex, "hex")).find((one) => one[25] === 0x49);
  expect(insert).toBeDefined();
  for (const length of [26, 30, 34, (insert?.length ?? 0) - 1])
    expect(() => readStreamMessage(insert?.subarray(0, length) as Buffer), String(length)).toThrow(
      RangeError,
    );
});

/** Objects: what is missing, what is there beyond what is read, and each property. */
import { accepts } from "./accepts.ts";
import { type Comparison, type Finding, incompatible, undecided, under } from "./finding.ts";
import { type SchemaNode, sameJson } from "./json-schema.ts";
import { matches, type ObjectFacts, propertyNodes, type Shape } from "./shape.ts";

const anything: SchemaNode = { schema: true, root: true };
const text: SchemaNode = { schema: { type: "string" }, root: true };

export function objectFindings(
  comparison: Comparison,
  writer: Shape,
  reader: Shape,
  path: string,
): Finding[] {
  const { names, open, patterns } = writtenBy(writer);
  for (const name of reader.objects.flatMap(({ properties }) => [...properties.keys()])) {
    if (patterns.some(({ pattern }) => matches(pattern, name) !== false)) names.add(name);
  }
  const findings: Finding[] = [];
  for (const name of reader.required) {
    if (writer.required.has(name)) continue;
    findings.push(
      incompatible(under(path, name), "required", "need not be written, and has to be there to be read"),
    );
  }
  for (const name of names) {
    const written = propertyNodes(writer, name) ?? [anything];
    for (const facts of reader.objects)
      findings.push(...propertyFindings(comparison, written, facts, name, path));
    findings.push(...nameFindings(reader, name, path));
  }
  if (open) findings.push(...openFindings(comparison, writer, names, open, reader, path));
  const simple = writer.objects.length === 1 && reader.objects.length === 1;
  if (patterns.length > 0 && !(simple && sameJson(patternsOf(writer), patternsOf(reader)))) {
    findings.push(undecided(path, "keyword", "`patternProperties` are written, and other ones are read"));
  }
  const fewest = Math.max(writer.minProperties, writer.required.size);
  const most =
    open || patterns.length > 0 ? writer.maxProperties : Math.min(writer.maxProperties, names.size);
  if (fewest < reader.minProperties)
    findings.push(
      incompatible(
        path,
        "bound",
        `fewer properties may be written than the ${reader.minProperties} that have to be there`,
      ),
    );
  if (most > reader.maxProperties)
    findings.push(
      incompatible(
        path,
        "bound",
        `more properties may be written than the ${reader.maxProperties} that can be read`,
      ),
    );
  return findings;
}

/** The properties that a writer sends: those it names, and others only where it says so. */
function writtenBy({ objects, required }: Shape) {
  const names = new Set([...objects.flatMap(({ properties }) => [...properties.keys()]), ...required]);
  const closed = objects.some(({ additional }) => additional?.schema === false);
  const others = objects.flatMap(({ additional }) => additional ?? []);
  // Whoever names nothing may write anything.
  if (!objects.some(({ named }) => named)) others.push(anything);
  return {
    names,
    open: closed || others.length === 0 ? undefined : others,
    patterns: objects.flatMap(({ patterns }) => patterns),
  };
}

function propertyFindings(
  { check }: Comparison,
  written: readonly SchemaNode[],
  facts: ObjectFacts,
  name: string,
  path: string,
): Finding[] {
  // By one of the reader's schemas at a time: it has to fit them all.
  const single = { objects: [facts] } as Pick<Shape, "objects"> as Shape;
  return (propertyNodes(single, name) ?? []).flatMap((read) => {
    if (read.schema !== false) return check(written, read, under(path, name));
    const never = check(written, read, under(path, name)).length === 0;
    if (never) return [];
    return [incompatible(under(path, name), "extra", "is written, and readers refuse what they do not name")];
  });
}

function nameFindings(reader: Shape, name: string, path: string): Finding[] {
  const answer = accepts(reader.names, name);
  if (answer === true) return [];
  const make = answer === false ? incompatible : undecided;
  return [
    make(under(path, name), "value", "is written, and `propertyNames` of readers does not take the name"),
  ];
}

/** Any other property may be written: it meets what the reader names, and what it says of those it does not. */
function openFindings(
  { check }: Comparison,
  writer: Shape,
  names: ReadonlySet<string>,
  open: readonly SchemaNode[],
  reader: Shape,
  path: string,
): Finding[] {
  return [
    ...reader.objects.flatMap((facts) => [
      ...[...facts.properties].flatMap(([name, read]) =>
        names.has(name) ? [] : check(open, read, under(path, name)),
      ),
      ...(facts.patterns.length > 0 && !sameJson(patternsOf(writer), patternsOf(reader))
        ? [
            undecided(
              path,
              "keyword",
              "any property is written, and `patternProperties` of readers limit them",
            ),
          ]
        : []),
      ...(facts.additional ? check(open, facts.additional, `${path}{}`) : []),
    ]),
    ...reader.names.flatMap((read) => check([text, ...writer.names], read, `${path}{name}`)),
  ];
}

function patternsOf({ objects }: Shape): unknown {
  return objects.flatMap(({ patterns }) => patterns.map(({ pattern, node }) => [pattern, node.schema]));
}

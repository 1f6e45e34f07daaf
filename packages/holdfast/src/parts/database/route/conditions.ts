/**
 * What conditions say of columns: equal to values, or equal to one another. Only what holds for every row counts,
 * that is the parts of a condition that AND joins.
 */
import type {
  AndNode,
  BinaryOperationNode,
  OperationNode,
  OperatorNode,
  ParensNode,
  PrimitiveValueListNode,
  ValueListNode,
  ValueNode,
} from "kysely";
import { childNodes } from "../everywhere/mergeable.ts";
import { type Column, referenceOf, type Scope } from "./scope.ts";

export type Condition =
  | { readonly kind: "values"; readonly column: Column; readonly values: readonly unknown[] }
  | { readonly kind: "equal"; readonly left: Column; readonly right: Column }
  /** It says nothing of where rows are. */
  | { readonly kind: "other"; readonly columns: readonly Column[]; readonly isOr: boolean }
  /** Of the user's own: it may hold an OR that takes back what the others say. */
  | { readonly kind: "raw" };

/** The conditions that all hold. */
export function conditionsOf(node: OperationNode | undefined, scope: Scope): readonly Condition[] {
  if (!node) return [];
  return hasRaw(node) ? [{ kind: "raw" }] : parts(node).map((part) => conditionOf(part, scope));
}

function parts(node: OperationNode): OperationNode[] {
  if (node.kind === "AndNode") return [...parts((node as AndNode).left), ...parts((node as AndNode).right)];
  return node.kind === "ParensNode" ? parts((node as ParensNode).node) : [node];
}

function conditionOf(node: OperationNode, scope: Scope): Condition {
  const known =
    node.kind === "BinaryOperationNode" ? comparison(node as BinaryOperationNode, scope) : undefined;
  return known ?? { kind: "other", columns: columnsIn(node, scope), isOr: node.kind === "OrNode" };
}

function comparison(
  { leftOperand, operator, rightOperand }: BinaryOperationNode,
  scope: Scope,
): Condition | undefined {
  const sign = operator.kind === "OperatorNode" ? (operator as OperatorNode).operator : undefined;
  const [left, right] = [referenceOf(leftOperand, scope), referenceOf(rightOperand, scope)];
  if (sign === "=" && left && right) return { kind: "equal", left, right };
  if (sign === "=" && left) return valuesOf(left, [rightOperand]);
  if (sign === "=" && right) return valuesOf(right, [leftOperand]);
  if (sign !== "in" || !left) return undefined;
  if (rightOperand.kind === "PrimitiveValueListNode")
    return { kind: "values", column: left, values: (rightOperand as PrimitiveValueListNode).values };
  return rightOperand.kind === "ValueListNode"
    ? valuesOf(left, (rightOperand as ValueListNode).values)
    : undefined;
}

function valuesOf(column: Column, nodes: readonly OperationNode[]): Condition | undefined {
  if (!nodes.every(({ kind }) => kind === "ValueNode")) return undefined;
  return { kind: "values", column, values: nodes.map((node) => (node as ValueNode).value) };
}

function columnsIn(node: OperationNode, scope: Scope): Column[] {
  const own = referenceOf(node, scope);
  return own ? [own] : childNodes(node).flatMap((child) => columnsIn(child, scope));
}

/** Outside of selects of their own, which have conditions of their own. */
function hasRaw(node: OperationNode): boolean {
  if (node.kind === "SelectQueryNode") return false;
  return node.kind === "RawNode" || childNodes(node).some(hasRaw);
}

/**
 * Who originally asked, as the gateway authenticated them. Inside the system it travels from hop to hop in a
 * header; from outside it is never believed.
 */
export interface Principal {
  readonly id: string;
  readonly roles: readonly string[];
}

export const principalCharsMax = 4096;
const idCharsMax = 255;
const rolesMax = 64;
const roleCharsMax = 100;

/** As base64url over JSON: names may hold any Unicode, a header may not. `undefined` when it does not fit. */
export function encodePrincipal(principal: Principal): string | undefined {
  if (!isPrincipal(principal.id, principal.roles)) return undefined;
  const text = Buffer.from(JSON.stringify([principal.id, ...principal.roles])).toString("base64url");
  return text.length <= principalCharsMax ? text : undefined;
}

export function decodePrincipal(text: string): Principal | undefined {
  if (text.length > principalCharsMax || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
  if (!Array.isArray(value)) return undefined;
  const [id, ...roles] = value as unknown[];
  return isPrincipal(id, roles) ? { id: id as string, roles: roles as string[] } : undefined;
}

function isPrincipal(id: unknown, roles: readonly unknown[]): boolean {
  return (
    typeof id === "string" &&
    id.length > 0 &&
    id.length <= idCharsMax &&
    roles.length <= rolesMax &&
    roles.every((role) => typeof role === "string" && role.length > 0 && role.length <= roleCharsMax)
  );
}

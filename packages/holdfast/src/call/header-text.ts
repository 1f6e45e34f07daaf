/**
 * What text a header may hold. Everything that goes into a header passes here first, so that no value can
 * end a header line and begin another one.
 */

/** 1 to `charsMax` characters from `!` to `~`: no spaces, no control characters. */
export function isVisibleAscii(text: string, charsMax: number): boolean {
  if (text.length === 0 || text.length > charsMax) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return false;
  }
  return true;
}

/** As above, with spaces and tabs between: lists such as `tracestate` and `baggage`. */
export function isListText(text: string, charsMax: number): boolean {
  if (text.length === 0 || text.length > charsMax) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code > 0x7e) return false;
  }
  return true;
}

/** A whole number from `min` to `max` in plain decimal digits: no sign, point, exponent or leading zero. */
export function wholeNumber(text: string, min: number, max: number): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,14})$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** What came from outside may hold anything; that must not move the cursor of whoever reads it. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: taking control characters out is the point.
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "�");
}

/** The same within one line. */
export function printableLine(text: string): string {
  return printable(text).replace(/\s+/g, " ");
}

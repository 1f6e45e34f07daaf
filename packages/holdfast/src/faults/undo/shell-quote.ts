/** One word of a shell command, whatever is in it. Line breaks are refused: an undo is one line. */
export function shellQuote(word: string): string {
  if (/[\n\r\0]/.test(word)) throw new RangeError(`an undo is one line, and ${JSON.stringify(word)} is not`);
  return `'${word.replaceAll("'", "'\\''")}'`;
}

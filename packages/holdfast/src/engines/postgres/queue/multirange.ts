/** Sets of whole numbers as Postgres writes its int8multirange: `{[1,4),[7,8)}`. Neighbours are one range. */

/** @param numbers all different; sorted in place */
export function multirangeText(numbers: number[]): string {
  numbers.sort((a, b) => a - b);
  let text = "{";
  for (let i = 0; i < numbers.length; ) {
    const from = numbers[i] as number;
    let until = from + 1;
    for (i++; numbers[i] === until; i++) until++;
    text += `${text === "{" ? "" : ","}[${from},${until})`;
  }
  return `${text}}`;
}

/** @param text in the canonical form of the server's */
export function parseMultirange(text: string): number[] {
  const numbers: number[] = [];
  for (const [, from, until] of text.matchAll(/\[(-?\d+),(-?\d+)\)/g)) {
    for (let n = Number(from); n < Number(until); n++) numbers.push(n);
  }
  return numbers;
}

/** Values of a history are anybody's: in a page they are text, whatever they hold. */
export function escapeHtml(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;")

    .replace(/\p{Cc}/gu, "\ufffd");
}

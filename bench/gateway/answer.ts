/** 200 bytes of JSON. */
export const answer = JSON.stringify({ id: 1, text: "x".repeat(181) });

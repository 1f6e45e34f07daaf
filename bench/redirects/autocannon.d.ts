/** The part of autocannon that the bench uses; the package brings no types. */
declare module "autocannon" {
  export interface Result {
    readonly errors: number;
    readonly "4xx": number;
    readonly "5xx": number;
    readonly duration: number;
    readonly requests: { readonly total: number };
    readonly latency: { readonly p99: number };
  }
  export default function autocannon(options: {
    readonly url: string;
    readonly connections: number;
    readonly duration: number;
    readonly requests: readonly { readonly method: "GET"; readonly path: string }[];
  }): Promise<Result>;
}

/** Who leads in NATS JetStream, from what its servers say (`/jsz`): pure, so that odd answers can be tried. */

export interface JetStreamView {
  /** The server that says it. */
  readonly server: string;
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size?: number };
  readonly account_details?: readonly {
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly cluster?: { readonly leader?: string };
    }[];
  }[];
}

/**
 * The leader of the metadata, when it and `votes` servers in all name it, and know of all `members`. A single
 * server without a cluster leads itself.
 */
export function metaLeaderIn(
  views: readonly JetStreamView[],
  votes: number,
  members: number,
): string | undefined {
  if (members === 1) return views[0]?.server;
  return views
    .map((view) => view.server)
    .find((name) => {
      const followers = views.filter(
        ({ meta_cluster: meta }) => meta?.leader === name && meta.cluster_size === members,
      );
      return followers.length >= votes && followers.some((view) => view.server === name);
    });
}

/** The server that says of itself that it leads the stream. */
export function streamLeaderIn(views: readonly JetStreamView[], stream: string): string | undefined {
  return views.find((view) => {
    const details = view.account_details?.flatMap((account) => account.stream_detail ?? []) ?? [];
    const leader = details.find((detail) => detail.name === stream)?.cluster?.leader;
    // A server without a cluster names no leader.
    return details.some((detail) => detail.name === stream) && (leader ?? view.server) === view.server;
  })?.server;
}

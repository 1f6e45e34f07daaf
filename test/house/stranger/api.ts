import { greetings } from "./parts.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    const greeted = await greetings.at(name).write(async (tx) => {
      const row = await tx
        .insertInto("greeting")
        .values({ name, times: 1 })
        .onConflict((conflict) => conflict.column("name").doUpdateSet({ times: 1 }))
        .returning("times")
        .executeTakeFirstOrThrow();
      return String(row.times);
    });
    return Response.json({ greeted });
  },
};

import fc from "fast-check";
import { expect, test } from "vitest";
import { compileRoutes } from "./routes.ts";

test("the longest prefix by whole segments wins, whatever the order", () => {
  const segment = fc.constantFrom("a", "b", "ab");
  const path = fc.array(segment, { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
  const routes = fc.uniqueArray(path, { maxLength: 6 });
  fc.assert(
    fc.property(routes, path, (paths, asked) => {
      const route = compileRoutes(paths.map((one) => ({ path: one, service: one })));
      // The obvious twin: compare segment by segment.
      const parts = asked.split("/").filter(Boolean);
      const fits = paths.filter((one) => {
        const wanted = one.split("/").filter(Boolean);
        return wanted.every((part, index) => parts[index] === part);
      });
      const longest = fits.sort((a, b) => b.length - a.length)[0];
      expect(route(asked)).toBe(longest);
    }),
  );
});

test("no route reaches the system's own corner", () => {
  const route = compileRoutes([{ path: "/", service: "api" }]);
  expect(route("/.holdfast")).toBeUndefined();
  expect(route("/.holdfast/health")).toBeUndefined();
  expect(route("/.holdfasts")).toBe("api");
  expect(route("/.well-known/x")).toBe("api");
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseImage } from "../../services/core/image.ts";

const hash = "a".repeat(64);

describe("image references", () => {
  it.each([
    ["busybox", { repository: "busybox", tag: "latest", text: "busybox:latest" }],
    ["busybox:1.36", { repository: "busybox", tag: "1.36", text: "busybox:1.36" }],
    ["library/nginx", { repository: "library/nginx", tag: "latest" }],
    ["localhost/web", { repository: "localhost/web", tag: "latest" }],
    ["localhost:5000/web", { repository: "localhost:5000/web", tag: "latest" }],
    ["images.example.com:5000/team/web:2", { repository: "images.example.com:5000/team/web", tag: "2" }],
    ["[::1]:5000/web:2", { repository: "[::1]:5000/web", tag: "2" }],
    [`web@sha256:${hash}`, { repository: "web", digest: `sha256:${hash}`, text: `web@sha256:${hash}` }],
    [`web:2@sha256:${hash}`, { repository: "web", tag: "2", digest: `sha256:${hash}` }],
    [`sha256:${hash}`, { repository: "sha256", tag: hash, text: `sha256:${hash}` }],
    ["a__b/c-d/e---f.g", { repository: "a__b/c-d/e---f.g" }],
  ])("%s is understood", (text, expected) => {
    expect(parseImage(text)).toMatchObject(expected);
  });

  it.each([
    "",
    "Web",
    "team/Web",
    "web:",
    "web:a b",
    `web:${"a".repeat(129)}`,
    "web@sha256:short",
    "/web",
    "web/",
    "a//b",
    "a___b",
    "-web",
    "http://example.com/web",
    "../../containers/json",
    "web?x=1",
    "example.com:port/web",
    `${"a/".repeat(130)}a`,
  ])("%j is refused", (text) => {
    expect(() => parseImage(text)).toThrow(expect.objectContaining({ code: "IMAGE_NOT_FOUND" }));
  });

  it("whatever is put together by the grammar comes apart again", () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/);
    const host = fc.stringMatching(/^[a-z0-9]{1,5}\.[a-z]{2,4}(:[0-9]{1,5})?$/);
    const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,12}$/);
    const digest = fc.stringMatching(/^sha256:[0-9a-f]{64}$/);
    const parts = fc.tuple(
      fc.option(host),
      fc.array(part, { minLength: 1, maxLength: 3 }),
      fc.option(tag),
      fc.option(digest),
    );
    fc.assert(
      fc.property(parts, ([host, path, tag, digest]) => {
        // Without a host the first of several parts would be read as one when it has a dot or is "localhost".
        fc.pre(host !== null || path.length === 1 || !/\.|^localhost$/.test(path[0] ?? ""));
        const repository = [...(host === null ? [] : [host]), ...path].join("/");
        const text = `${repository}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@${digest}`}`;
        const parsed = parseImage(text);
        expect(parsed.repository).toBe(repository);
        expect(parsed.tag).toBe(tag ?? (digest === null ? "latest" : undefined));
        expect(parsed.digest).toBe(digest ?? undefined);
        expect(parseImage(parsed.text)).toEqual(parsed);
      }),
    );
  });
});

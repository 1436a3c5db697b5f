// What a token must look like to name an object. Subjects may carry more than names may.

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** True for a DNS label, as in schemas/manifest/common. */
export const isName = (text: string): boolean => label.test(text);

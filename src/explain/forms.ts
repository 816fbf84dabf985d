/** The forms in which a container can be had again. */
export const FORMS = ["sh", "oci", "docker-run", "compose", "ts"] as const;
export type Form = (typeof FORMS)[number];

export const isForm = (word: string): word is Form => (FORMS as readonly string[]).includes(word);

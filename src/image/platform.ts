/**
 * Platforms as image-spec names them (GOOS, GOARCH and a variant of the processor), and which of an index's manifests is
 * for one.
 */
import { SampanError } from "../common/error.ts";
import type { Descriptor } from "./manifest.ts";

export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  arm64: "arm64",
  arm: "arm",
  ppc64: "ppc64le",
};

/** This machine's. */
export const hostPlatform = (): Platform => ({
  os: "linux",
  architecture: ARCHITECTURES[process.arch] ?? process.arch,
});

/** `linux/arm64/v8`, as people write it. */
export const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, variant].filter(Boolean).join("/");

/**
 * The index's manifests that fit, the best first: those of the platform, then its lower variants (arm v7 runs v6; amd64
 * v1 is the plain one). Attestations (unknown/unknown) never fit; a single manifest without a platform does.
 */
export function choose(manifests: readonly Descriptor[], wanted: Platform): Descriptor[] {
  const named = manifests.filter(({ platform }) => platform !== undefined);
  if (named.length === 0) return manifests.length === 1 ? [...manifests] : [];
  const level = (variant: string | undefined, fallback: number): number =>
    variant === undefined || variant === "" ? fallback : Number(variant.replace(/^v/, "")) || fallback;
  const plain = wanted.architecture === "arm" ? 7 : wanted.architecture === "arm64" ? 8 : 1;
  const limit = level(wanted.variant, plain);
  return named
    .filter(
      ({ platform }) =>
        platform?.os === wanted.os &&
        platform.architecture === wanted.architecture &&
        level(platform.variant, plain) <= limit,
    )
    .sort((a, b) => level(b.platform?.variant, plain) - level(a.platform?.variant, plain));
}

/** Whether an image is for this platform, whichever variant. */
export const fits = (image: Platform, wanted: Platform): boolean =>
  image.os === wanted.os && image.architecture === wanted.architecture;

/** One image may be there for all, and be for another machine. `text` names it in the error. */
export function checkPlatform(image: Platform, text: string, wanted: Platform): void {
  if (fits(image, wanted)) return;
  throw new SampanError(
    "not-found",
    `image with reference ${text} was found but its platform (${platformText(image)}) does not match the specified platform (${platformText(wanted)})`,
    { hint: "Pull it or load an archive of it for that platform, or leave --platform out." },
  );
}

const SYSTEMS =
  "aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris wasip1 windows";
const PROCESSORS =
  "386 amd64 arm arm64 loong64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x sparc64 wasm";

/** Reads `linux/arm64/v8`, `arm64` or `linux`. One word alone must be a system or a processor that Go knows. */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/");
  const host = hostPlatform();
  if (text === "" || parts.length > 3 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part)))
    throw new SampanError("invalid", `"${text}" is an invalid component of a platform`, {
      hint: "A platform is written linux/amd64 or linux/arm/v7.",
    });
  const [first = "", second, variant] = parts;
  if (second !== undefined)
    return { os: first, architecture: architecture(second), ...(variant !== undefined && { variant }) };
  if (SYSTEMS.split(" ").includes(first)) return { ...host, os: first };
  if (PROCESSORS.split(" ").includes(architecture(first)))
    return { os: host.os, architecture: architecture(first) };
  throw new SampanError(
    "invalid",
    `error parsing specified platform: "${text}": unknown operating system or architecture: invalid argument`,
    { hint: "A platform is written linux/amd64 or linux/arm/v7." },
  );
}

const architecture = (name: string): string =>
  ({ x86_64: "amd64", "x86-64": "amd64", aarch64: "arm64", i386: "386", armhf: "arm" })[name] ?? name;

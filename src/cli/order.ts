/** The order of names in lists of Docker's: by their bytes, but numbers within them count as numbers. */
export function byName(
  { name: a }: { readonly name: string },
  { name: b }: { readonly name: string },
): number {
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const [one, other] = [numberAt(a, i), numberAt(b, j)];
    if (one === "" || other === "") {
      if (a[i] !== b[j]) return (a[i] ?? "") < (b[j] ?? "") ? -1 : 1;
      i++;
      j++;
      continue;
    }
    i += one.length;
    j += other.length;
    const difference = BigInt(one) - BigInt(other);
    if (difference !== 0n) return difference < 0n ? -1 : 1;
  }
  return a.length - i - (b.length - j) || a.length - b.length;
}

const numberAt = (text: string, at: number): string => /^\d*/.exec(text.slice(at))?.[0] ?? "";

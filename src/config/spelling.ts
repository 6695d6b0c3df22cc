/** A name is only taken for a misspelling when at most this share of it is wrong. */
const MAX_WRONG_SHARE = 0.4;
/** Longer names are compared by their beginning: the comparison takes time with the square of the length. */
const MAX_COMPARED_LENGTH = 64;

/** The known name that a misspelled one was most likely meant to be; `undefined` when none is near. The first of equals. */
export function closestName(name: string, known: readonly string[]): string | undefined {
  const plain = normalize(name);
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const distance = editDistance(plain, normalize(candidate));
    if (distance < bestDistance && distance <= Math.max(1, Math.floor(candidate.length * MAX_WRONG_SHARE))) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Case and the choice between "-", "_" and nothing are no difference: `maxForwards` is near to `max_forwards`. */
function normalize(name: string): string {
  return name.slice(0, MAX_COMPARED_LENGTH).toLowerCase().replace(/[-_]/g, "");
}

/** How many letters must be put in, taken out or replaced to make one text the other (Levenshtein). */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}

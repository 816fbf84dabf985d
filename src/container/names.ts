/**
 * Names for containers that were given none: a mood and a surname. The people built computers, networks, ships and
 * the mathematics beneath them, or went to sea to find out.
 */

const MOODS =
  "able amber ample apt awake balmy blithe bold brave breezy bright brisk calm candid canny cheery clear clever cosy crisp " +
  "daring deft eager earnest easy fair fervent fleet fond frank free fresh gallant gentle glad graceful handy happy hardy " +
  "hearty honest hopeful humble jaunty jolly jovial keen kind lively loyal lucid lucky mellow merry mild modest neat nimble " +
  "noble patient plucky polite proud prudent quick quiet rapid ready serene sharp sincere sleek smart snug spry stately " +
  "steady stoic sunny swift tender tidy trim trusty upbeat vivid warm wise witty zesty";

const PEOPLE =
  "abel ampere amundsen anning bardeen barentsz bering bohr boole borg cabot carver cerf clarke columbus cook cray curie " +
  "dampier dijkstra drake earhart engelbart erdos euler faraday fermat fermi feynman fourier franklin galois gauss germain " +
  "goedel hamilton hamming hertz hilbert hopper huygens hypatia ibnbattuta kahn kepler knuth kovalevskaya lamarr lamport " +
  "laplace liskov lovelace magellan maxwell mccarthy meitner mercator minsky mirzakhani nansen napier newton noether ohm " +
  "pascal pasteur perlman planck polo pythagoras ritchie shackleton shannon sinbad stallman tasman tereshkova thompson " +
  "torvalds turing vespucci volta wirth wozniak zheng zuse";

let moods: string[] | undefined;
let people: string[] | undefined;

/** A name such as `clever_nansen`; `attempt` above 0 adds a digit, for when the plain one is taken. */
export function generateName(attempt = 0): string {
  moods ??= MOODS.split(" ");
  people ??= PEOPLE.split(" ");
  const chance = crypto.getRandomValues(new Uint32Array(3));
  const mood = moods[(chance[0] ?? 0) % moods.length];
  const person = people[(chance[1] ?? 0) % people.length];
  return attempt === 0
    ? `${mood}_${person}`
    : `${mood}_${person}${(chance[2] ?? 0) % 10 ** Math.min(attempt, 6)}`;
}

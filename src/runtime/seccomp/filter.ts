/** A seccomp filter as a plan carries it. */
export interface Filter {
  /** An array of struct sock_filter. */
  readonly program: Uint8Array;
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number;
}

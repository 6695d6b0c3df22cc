/** Lets promises that are resolved go on, also through several `await`s. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 8; i++) await undefined;
}

// What a server has been sent, in order, for tests to wait for.

export class Queue<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  push(item: T): void {
    const take = this.#waiting.shift();
    if (take) take(item);
    else this.#items.push(item);
  }

  /** Resolves with the next one, which may be here already. */
  next(): Promise<T> {
    const [item] = this.#items.splice(0, 1);
    return item === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(item);
  }

  /** Those that are here and were not taken. */
  get left(): readonly T[] {
    return this.#items;
  }
}

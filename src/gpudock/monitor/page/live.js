// The samples as they come. The browser connects again by itself; while nobody looks at the page nothing is fetched.

const RETRY = 3000; // ms, after an answer that was an error
const REST = 20000; // ms in the background before the connection is given back

export class Live {
  /** `changed` is called for each sample, and each second for what became older. */
  constructor(address, changed) {
    this.address = address;
    this.changed = changed;
    this.sample = null;
    this.connected = false;
    this.at = 0; // performance.now() of the latest news
    this.age = 0; // seconds that the sample had then
    document.addEventListener("visibilitychange", () => this.#seen());
    setInterval(() => this.changed(false), 1000);
    this.#connect();
  }

  /** Seconds since the GPUs were read; null before the first sample. */
  ageNow() {
    return this.sample ? this.age + (performance.now() - this.at) / 1000 : null;
  }

  get stale() {
    return this.sample != null && this.ageNow() > 2 * this.sample.interval + this.sample.took + 2;
  }

  /** The server's clock, in Unix seconds: what was recorded is asked for in its time. */
  serverNow() {
    return this.sample ? this.sample.time + this.ageNow() : Date.now() / 1000;
  }

  #connect() {
    this.source?.close();
    this.source = new EventSource(this.address);
    this.source.addEventListener("sample", (event) => this.#got(JSON.parse(event.data)));
    this.source.addEventListener("error", () => this.#failed());
  }

  /** The same sample comes again when there is no newer one: its age is the news then. */
  #got(sample) {
    const isNew = sample.number !== this.sample?.number || sample.time !== this.sample.time;
    this.sample = sample;
    this.age = sample.age;
    this.at = performance.now();
    this.connected = true;
    this.changed(isNew);
  }

  #failed() {
    this.connected = false;
    if (this.source.readyState === EventSource.CLOSED) this.later = setTimeout(() => this.#connect(), RETRY);
    this.changed(false);
  }

  #seen() {
    clearTimeout(this.rest);
    if (document.hidden) {
      this.rest = setTimeout(() => {
        clearTimeout(this.later);
        this.source.close();
      }, REST);
    } else if (this.source.readyState === EventSource.CLOSED) {
      clearTimeout(this.later);
      this.#connect();
    }
  }
}

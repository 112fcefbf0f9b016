// Requests to the service: the stream of overviews while the page is visible, and single JSON requests.

const STALLED = 20000 // milliseconds without data after which a stream counts as dead; the service sends a ping every 15 s
const STORED = 'listener API_TOKEN'

export class Refused extends Error {}

// Requests a JSON route. Throws Refused if a token is needed, and otherwise an Error with the sentence of the service.
export async function ask(path, options = {}) {
  const token = sessionStorage.getItem(STORED)
  const headers = token ? { Authorization: `Bearer ${token}` } : {}
  let answer
  try {
    answer = await fetch(path, { ...options, headers, cache: 'no-store' })
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new Error('The service does not respond.')
  }
  if (answer.ok) return answer
  const said = await answer.json().catch(() => ({}))
  const sentence = said.error ?? `The service responded with status ${answer.status}.`
  throw answer.status === 401 || answer.status === 403 ? new Refused(sentence) : new Error(sentence)
}

export const remember = (token) => sessionStorage.setItem(STORED, token)

// Calls `on.overview(data)` and `on.problem(data)` for each event, `on.lost(sentence)` if the service does not respond, and
// `on.refused(sentence)` if a token is needed; then it stops. It pauses while the page is hidden.
export class Feed {
  constructor(on) {
    this.on = on
    this.stopped = true
    document.addEventListener('visibilitychange', () => (document.hidden ? this.stop() : this.start()))
  }

  start() {
    if (!this.stopped || document.hidden) return
    this.stopped = false
    this.run()
  }

  stop() {
    this.stopped = true
    this.abort?.abort()
  }

  async run() {
    const current = (this.current = {})
    let pause = 500
    while (!this.stopped && this.current === current) {
      try {
        await this.listen(() => (pause = 500))
      } catch (error) {
        if (this.stopped || this.current !== current) return
        if (error instanceof Refused) {
          this.stopped = true
          this.on.refused(error.message)
          return
        }
        this.on.lost(error.name === 'Error' ? error.message : 'The service stopped sending data.')
      }
      await new Promise((done) => setTimeout(done, pause))
      pause = Math.min(pause * 2, 10000)
    }
  }

  async listen(heard) {
    const abort = (this.abort = new AbortController())
    let watch = setTimeout(() => abort.abort(), STALLED)
    try {
      const answer = await ask('api/v1/events', { signal: abort.signal })
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
      let rest = ''
      for (;;) {
        const { value, done } = await reader.read()
        if (done) throw new Error('The service closed the stream.')
        clearTimeout(watch)
        watch = setTimeout(() => abort.abort(), STALLED)
        const events = (rest + value).split('\n\n')
        rest = events.pop()
        for (const event of events) this.tell(event, heard)
      }
    } finally {
      clearTimeout(watch)
    }
  }

  tell(event, heard) {
    const fields = Object.fromEntries(event.split('\n').map((line) => line.split(/: (.*)/s)))
    if (!fields.event) return
    heard()
    this.on[fields.event]?.(JSON.parse(fields.data))
  }
}

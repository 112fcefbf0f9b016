// One job: its state, its attempts on a timeline, and commands.
import { ago, el, span, text } from './format.js'
import { command } from './view.js'

const MOST = 20 // attempts to show

const clock = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: 'short', timeStyle: 'medium' })

function facts(pairs) {
  const list = el('dl')
  for (const [name, value] of pairs) {
    if (value !== null && value !== undefined && value !== '') list.append(el('dt', name), el('dd', value))
  }
  return list
}

function standing(job, now) {
  const delivery = job.delivery
  if (!delivery) return job.state === 'running' ? 'run by another program' : 'finished'
  const late = (now - Date.parse(delivery.run_at)) / 1000
  if (delivery.state === 'running') return `running since ${clock(delivery.claimed_at)}`
  return `${delivery.state}, due ${late < 0 ? `in ${span(-late)}` : ago(late)}`
}

function attempt(one, now) {
  const began = one.started_at ? clock(one.started_at) : clock(one.finished_at)
  const ran = one.started_at ? `, ran ${span((Date.parse(one.finished_at) - Date.parse(one.started_at)) / 1000)}` : ''
  const ended = `${ago((now - Date.parse(one.finished_at)) / 1000)}${ran}`
  return el(
    `li.${one.outcome}`,
    el('p', el(`strong.${one.outcome}`, `attempt ${one.attempt}: ${one.outcome}`), ` ${began} · ${ended}`),
    one.worker ? el('p.dim', one.worker) : null,
    one.error ? el('pre.error', text(one.error)) : null,
    ...(one.warnings ?? []).map((warning) => el('pre.warn', text(warning))),
  )
}

// Updates progress and message of a running job.
export function showProgress(place, job) {
  const percent = place.querySelector('.percent-now')
  const message = place.querySelector('.message-now')
  if (percent) percent.textContent = percentOf(job)
  if (message) message.textContent = text(job.message)
}

const percentOf = (job) => (typeof job.progress === 'number' ? `${Math.floor(job.progress)} %` : '')

export function detail(job, now) {
  const delivery = job.delivery ?? {}
  const left = Math.max(0, job.attempts.length - MOST)
  const line = el('ol.attempts', ...job.attempts.slice(left).map((one) => attempt(one, now)))
  if (delivery.state === 'running') {
    line.append(el('li.running', el('p', el('strong', `attempt ${delivery.attempt}: running`), ` ${clock(delivery.claimed_at)}`), el('p.dim', delivery.worker)))
  }
  return [
    facts([
      ['status', job.word],
      ['delivery', standing(job, now)],
      ['attempts', `${delivery.attempt ?? job.attempts.at(-1)?.attempt ?? 0} of ${job.max_attempts ?? '?'}`],
      ['progress', percentOf(job) && el('span.percent-now', percentOf(job))],
      ['message', (job.message || delivery.state === 'running') && el('span.message-now', text(job.message))],
      ['snoozes', delivery.snoozes || ''],
      ['error', delivery.error || job.error ? el('span.error', text(delivery.error ?? job.error)) : ''],
    ]),
    el('h3', left ? `Attempts, without the first ${left}` : 'Attempts'),
    line.childElementCount ? line : el('p.empty', 'None yet.'),
    job.commands.length ? el('h3', 'Commands') : null,
    ...job.commands.map((one) => el('p', command(one))),
  ].filter(Boolean)
}

// The lists of the page.
import { ago, el, number, plural, progress, rough, rows, span, text } from './format.js'

const $ = (id) => document.getElementById(id)
const idOf = (job) => `${job.queue} ${job.key}`
const since = (moment, now) => (now - Date.parse(moment)) / 1000

// The address of a job's detail within the page, with the filter.
export function address(state) {
  const set = Object.entries(state).filter(([, value]) => value)
  return `#${new URLSearchParams(set)}`
}

function jobCell(job, view, ...more) {
  const link = el('a.key', job.key)
  link.href = address({ ...view.filter, job: JSON.stringify([job.queue, job.key]) })
  link.title = job.key
  return el('td', link, ...more)
}

function clipped(what, value) {
  const cell = el(what, value)
  cell.title = value
  return cell
}

export function command(line) {
  const button = el('button.copy', 'copy')
  button.type = 'button'
  button.dataset.command = line
  button.setAttribute('aria-label', `Copy ${line}`)
  return el('span.command', el('code', line), button)
}

function matches(view, job) {
  const { queue, text: wanted } = view.filter
  if (queue && job.queue !== queue && !job.queue.startsWith(`${queue}/`)) return false
  if (!wanted) return true
  const said = [job.queue, job.key, job.error, job.message, job.worker, job.outcome, job.state, job.stage, job.because]
  return said.some((value) => text(value).toLowerCase().includes(wanted.toLowerCase()))
}

const counted = (section, shown, more = '') => {
  section.querySelector('.count').textContent = shown ? `${shown}${more}` : ''
}

const nothing = (view, words) => (view.filter.queue || view.filter.text ? 'Nothing matches the filter.' : words)

export function showQueues(view) {
  const shown = view.queues.filter((one) => !view.filter.queue || one.queue === view.filter.queue)
  const cells = (one) => [
    clipped('td.name', one.queue),
    remark(one),
    el('td.n.wide', number(one.workers)),
    el('td.n.wide', number(one.slots)),
    el('td.n', number(one.waiting)),
    el('td.n.wide', one.waiting ? rough(one.oldest) : ''),
    el('td.n.wide', number(one.scheduled)),
    el('td.n', number(one.running)),
    el(one.broken ? 'td.n.bad' : 'td.n', number(one.broken)),
    clipped('td.wide.dim.table', one.table),
  ]
  rows($('queues'), shown, (one) => one.queue, cells,
    view.queues.length ? nothing(view, '') : 'No table is attached yet. Start with: listener attach TABLE QUEUE')
}

function remark(one) {
  if (!one.workers) return el('td.w-note.bad', 'no worker')
  if (one.paused) return el('td.w-note.warn', 'paused')
  if (one.expired) return el('td.w-note.bad', `${one.expired} without heartbeat`)
  return el('td.w-note.good', 'served')
}

export function showOverdue(view) {
  const section = $('overdue')
  const shown = view.stuck.filter((job) => matches(view, job))
  section.classList.toggle('alarm', shown.length > 0)
  counted(section, shown.length)
  rows(section, shown, idOf, (job) => [
    clipped('td.name', job.queue),
    jobCell(job, view),
    el('td', job.since ? `${job.begun} ${ago(since(job.since, view.now))}` : ''),
    el('td.why', el('strong', job.because), job.error ? el('span.error', text(job.error)) : null,
      el('span.fix', job.fix), job.command ? command(job.command) : null),
  ], view.stuckProblem || nothing(view, view.stuckRead ? 'Nothing is overdue.' : 'Loading…'))
}

export function showActive(view) {
  const shown = view.running.filter((job) => matches(view, job))
  const section = $('active')
  counted(section, shown.length)
  rows(section, shown, idOf, (job) => {
    const runs = since(job.claimed_at, view.now)
    return [
      clipped('td.name', job.queue),
      jobCell(job, view),
      el('td.w-bar', ...progress(job.progress, `Progress of ${job.key}`)),
      clipped('td.wide.says', [job.stage, text(job.message)].filter(Boolean).join(' · ')),
      el('td.n.wide', `${job.attempt}/${job.max_attempts}`),
      el(job.silent || (job.timeout && runs > job.timeout) ? 'td.n.bad' : 'td.n', span(runs)),
      el('td.n', left(job, runs, view)),
    ]
  }, nothing(view, 'No job is running.'))
}

// Estimates the remaining time from the observed progress, or at first from the total running time.
function left(job, runs, view) {
  if (typeof job.progress !== 'number' || job.progress <= 0) return ''
  if (job.progress >= 100) return '~ 0 s'
  const id = `${idOf(job)} ${job.claimed_at}`
  const first = view.seen.get(id) ?? { at: view.now, progress: job.progress }
  view.fresh.set(id, first)
  const grown = job.progress - first.progress
  const rate = grown >= 2 ? grown / ((view.now - first.at) / 1000) : runs > 2 && job.progress >= 5 ? job.progress / runs : 0
  return rate > 0 ? `~ ${span((100 - job.progress) / rate)}` : ''
}

export function showPending(view) {
  const shown = view.pending.filter((job) => matches(view, job))
  const all = view.queues.reduce((sum, one) => sum + one.waiting + one.scheduled, 0)
  const section = $('pending')
  counted(section, shown.length, shown.length < all && shown.length === view.pending.length ? ` of ${all}` : '')
  rows(section, shown, idOf, (job) => {
    const late = since(job.due, view.now)
    return [
      clipped('td.name', job.queue),
      jobCell(job, view),
      el('td.n.wide', `${job.attempt}/${job.max_attempts}`),
      el(job.state === 'scheduled' ? 'td.n.dim' : 'td.n', late < 0 ? `in ${rough(late)}` : `for ${rough(late)}`),
    ]
  }, nothing(view, 'No job is pending. Insert a row, or run: listener submit QUEUE COLUMN=TEXT'))
}

export function showEnded(view) {
  const shown = view.ended.filter((job) => matches(view, job))
  const failed = shown.filter((job) => job.outcome === 'failed').length
  const section = $('ended')
  counted(section, shown.length, failed ? `, ${failed} failed` : '')
  rows(section, shown, (job) => `${idOf(job)} ${job.finished_at} ${job.attempt}`, (job) => {
    const error = text(job.error)
    const ran = job.started_at ? span((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000) : ''
    return [
      clipped('td.name', job.queue),
      jobCell(job, view, error ? clipped('span.error.line', error) : null),
      el(`td.outcome.${job.outcome}`, job.outcome === 'retried' ? `retried ${job.attempt}/${job.max_attempts}` : job.outcome),
      el('td.n.wide', ran),
      el('td.n.dim', ago(since(job.finished_at, view.now))),
    ]
  }, nothing(view, 'No job has finished yet.'))
}

export function showWorkers(view) {
  const section = $('workers')
  counted(section, view.workers.length)
  rows(section, view.workers, (one) => one.id, (one) => [
    clipped('td.name', one.id === view.service.worker_id ? `${one.id} (this process)` : one.id),
    clipped('td.wide', one.host),
    el('td.wide.dim', one.version),
    el('td.n', number(one.running)),
    el('td.n.wide', String(Object.values(one.slots).reduce((sum, slots) => sum + slots, 0))),
    el('td.n', rough(since(one.started_at, view.now))),
    el(since(one.seen_at, view.now) > 60 ? 'td.n.bad' : 'td.n.dim', ago(since(one.seen_at, view.now))),
  ], 'No worker is running. Start one with: listener run MODULE:APP')
}

export function showService(service) {
  const health = $('health')
  if (health.textContent !== service.status) health.textContent = service.status
  health.className = `pill ${service.status}`
  const up = service.uptime < 100 ? `${service.uptime} s` : rough(service.uptime)
  $('process').textContent = `${service.worker_id} · up ${up} · ${plural(service.active_jobs, 'job')} here`
  const list = $('problems')
  list.hidden = service.problems.length === 0
  const said = [...list.children].map((item) => item.textContent).join('\n')
  if (said !== service.problems.join('\n')) list.replaceChildren(...service.problems.map((one) => el('li', one)))
}

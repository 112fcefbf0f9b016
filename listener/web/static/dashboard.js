// The dashboard. It shows the data of the service, and changes nothing.
import { detail, showProgress } from './detail.js'
import { Feed, Refused, ask, remember } from './feed.js'
import { el, rough } from './format.js'
import {
  address, showActive, showEnded, showOverdue, showPending, showQueues, showService, showWorkers,
} from './view.js'

const STUCK_EVERY = 12000
const $ = (id) => document.getElementById(id)
const filter = $('filter')

// The state of the page. `now` is the database's clock in milliseconds; `seen` has the first seen progress of each running job.
const view = {
  filter: { queue: '', text: '' }, now: 0, queues: [], workers: [], running: [], pending: [], broken: [], ended: [],
  stuck: [], stuckRead: false, stuckProblem: '', seen: new Map(), fresh: new Map(), service: {},
}
let arrived = 0 // arrival of the last overview, by this page's clock
let opened = { id: '', stand: '' }

function show() {
  showQueues(view)
  showOverdue(view)
  view.fresh = new Map()
  showActive(view)
  view.seen = view.fresh
  showPending(view)
  showEnded(view)
  showWorkers(view)
  document.title = view.stuck.length ? `(${view.stuck.length}) listener` : 'listener'
}

function offerQueues() {
  const names = view.queues.map((one) => one.queue)
  const tables = names.filter((name) => name.includes('/')).map((name) => name.split('/')[0])
  const wanted = ['', ...new Set([...tables, ...names, view.filter.queue].filter(Boolean))]
  const select = filter.elements.queue
  if ([...select.options].map((one) => one.value).join('\n') === wanted.join('\n')) return
  select.replaceChildren(...wanted.map((name) => new Option(name || 'all queues', name)))
  select.value = view.filter.queue
}

function problem(sentence) {
  $('problem').hidden = !sentence
  if ($('problem').textContent !== sentence) $('problem').textContent = sentence
}

// Shows the age of the numbers, and dims them if they are stale.
function showFreshness() {
  const age = (Date.now() - arrived) / 1000
  const stale = arrived > 0 && (age > 10 || !$('problem').hidden)
  const words = age > 3 ? `updated ${rough(age)} ago` : 'live'
  $('freshness').textContent = document.hidden ? 'paused' : arrived ? words : ''
  $('freshness').className = stale ? 'stale' : ''
  $('all').classList.toggle('stale', stale)
}

const feed = new Feed({
  overview(said) {
    arrived = Date.now() - said.age * 1000
    Object.assign(view, said, { now: Date.parse(said.now) + said.age * 1000 })
    $('sign-in').hidden = true
    problem('')
    showService(view.service)
    offerQueues()
    show()
    showFreshness()
    follow()
    lookForStuck()
  },
  problem(said) {
    showService(said.service)
    problem(said.error)
    showFreshness()
  },
  lost(sentence) {
    $('health').textContent = 'not connected'
    $('health').className = 'pill unhealthy'
    problem(sentence)
    showFreshness()
  },
  refused(sentence) {
    $('health').textContent = 'locked'
    $('health').className = 'pill'
    $('refusal').textContent = sentence
    $('sign-in').hidden = false
    $('sign-in').elements.token.focus()
  },
})

let stuckAt = -Infinity
async function lookForStuck() {
  if (Date.now() - stuckAt < STUCK_EVERY) return
  stuckAt = Date.now()
  try {
    view.stuck = (await (await ask('api/v1/stuck')).json()).stuck
    view.stuckRead = true
    view.stuckProblem = ''
  } catch (error) {
    view.stuck = []
    view.stuckProblem = error.message
  }
  show()
}

// The filter and the open job are part of the address, so that it can be shared.
function readAddress() {
  const set = new URLSearchParams(location.hash.slice(1))
  view.filter = { queue: set.get('queue') ?? '', text: set.get('text') ?? '' }
  if (filter.elements.text.value !== view.filter.text) filter.elements.text.value = view.filter.text
  offerQueues()
  filter.elements.queue.value = view.filter.queue
  show()
  if (set.get('job')) open(set.get('job'))
  else $('job').close()
}

async function open(id) {
  let queue, key
  try {
    ;[queue, key] = JSON.parse(id)
  } catch {
    return
  }
  opened = { id, queue, key, stand: standing(queue, key) }
  let said
  try {
    const asked = await ask(`api/v1/job?${new URLSearchParams({ queue, key })}`)
    said = detail(await asked.json(), view.now || Date.now())
  } catch (error) {
    // It opens after the token was entered.
    if (error instanceof Refused) return
    said = [el('p.error', error.message)]
  }
  if (opened.id !== id) return
  $('job-title').replaceChildren(el('span.dim', queue), ' ', key)
  $('job-body').replaceChildren(...said)
  if (!$('job').open) $('job').showModal()
}

// The lists that contain a job. Its detail is read again only when they change.
function standing(queue, key) {
  const among = (list) => list.filter((job) => job.queue === queue && job.key === key)
  const ended = among(view.ended).map((job) => job.finished_at)
  const live = [...among(view.running), ...among(view.pending), ...among(view.broken)]
  return JSON.stringify([ended, live.map((job) => [job.attempt, job.claimed_at, job.due, job.stage])])
}

function follow() {
  if (!opened.id) return
  if (!$('job').open || opened.stand !== standing(opened.queue, opened.key)) open(opened.id)
  const runs = view.running.find((job) => job.queue === opened.queue && job.key === opened.key)
  if (runs) showProgress($('job'), runs)
}

filter.addEventListener('input', () => {
  view.filter = { queue: filter.elements.queue.value, text: filter.elements.text.value.trim() }
  history.replaceState(null, '', address(view.filter))
  show()
})
filter.addEventListener('submit', (event) => event.preventDefault())
$('sign-in').addEventListener('submit', (event) => {
  event.preventDefault()
  remember($('sign-in').elements.token.value)
  stuckAt = -Infinity
  feed.start()
})
$('job').addEventListener('close', () => {
  opened = { id: '', stand: '' }
  if (location.hash.includes('job=')) history.pushState(null, '', address(view.filter))
})
document.addEventListener('click', async (event) => {
  const line = event.target.dataset?.command
  if (!line) return
  try {
    await navigator.clipboard.writeText(line)
    event.target.textContent = 'copied'
  } catch {
    // The clipboard needs https or localhost. Select the text instead.
    getSelection().selectAllChildren(event.target.previousElementSibling)
  }
  setTimeout(() => (event.target.textContent = 'copy'), 1500)
})
addEventListener('hashchange', readAddress)
document.addEventListener('visibilitychange', showFreshness)
setInterval(showFreshness, 1000)
readAddress()
feed.start()

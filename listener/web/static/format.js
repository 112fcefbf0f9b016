// Formats values. All text reaches the page by textContent, so that content of rows is never HTML.

// An element: `el('td.n', 'text', child)`.
export function el(what, ...children) {
  const [tag, ...classes] = what.split('.')
  const made = document.createElement(tag)
  made.classList.add(...classes)
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ''))
  return made
}

// A duration: `0.4 s`, `12 s`, `3:07`, `2:14:09`, `9 d`.
export function span(seconds) {
  const s = Math.max(0, seconds)
  if (s < 1) return `${s.toFixed(1)} s`
  if (s < 60) return `${Math.floor(s)} s`
  const two = (n) => String(Math.floor(n)).padStart(2, '0')
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`
  if (s < 172800) return `${Math.floor(s / 3600)}:${two((s % 3600) / 60)}:${two(s % 60)}`
  return `${Math.floor(s / 86400)} d`
}

// A rounded duration: `40 s`, `3 min`, `5 h`, `9 d`.
export function rough(seconds) {
  const s = Math.abs(seconds)
  if (s < 100) return `${Math.floor(s)} s`
  if (s < 6000) return `${Math.round(s / 60)} min`
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`
}

export const ago = (seconds) => (seconds < 1 ? 'now' : `${rough(seconds)} ago`)

export function plural(number, thing) {
  return `${number} ${thing}${number === 1 ? '' : 's'}`
}

// A field of a row on one line; objects as JSON.
export function text(value) {
  if (value === null || value === undefined) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

export const number = (value) => el(value ? 'span' : 'span.none', value ? String(value) : '·')

// Updates the rows of a table in place, one for each item, so that the focus is kept.
export function rows(section, items, keyOf, cells, empty) {
  const body = section.querySelector('tbody')
  const old = new Map([...body.children].map((row) => [row.dataset.id, row]))
  let last = null
  for (const item of items) {
    const id = keyOf(item)
    const row = old.get(id) ?? el('tr')
    old.delete(id)
    row.dataset.id = id
    fill(row, cells(item))
    const place = last ? last.nextElementSibling : body.firstElementChild
    if (place !== row) body.insertBefore(row, place)
    last = row
  }
  for (const row of old.values()) row.remove()
  section.querySelector('table').hidden = items.length === 0
  const words = section.querySelector('.empty')
  words.hidden = items.length > 0
  if (words.textContent !== empty) words.textContent = empty
}

// Replaces only the cells that changed.
function fill(row, cells) {
  cells.forEach((cell, n) => {
    const old = row.children[n]
    if (!old) row.append(cell)
    else if (!old.isEqualNode(cell) && !move(old, cell)) old.replaceWith(cell)
  })
}

// Updates an existing progress bar in place, so that it is animated.
function move(old, cell) {
  const [bar, next] = [old.querySelector('.bar'), cell.querySelector('.bar')]
  if (!bar || !next || bar.className !== next.className) return false
  bar.firstElementChild.style.width = next.firstElementChild.style.width
  bar.setAttribute('aria-valuenow', next.getAttribute('aria-valuenow'))
  old.querySelector('.percent').textContent = cell.querySelector('.percent').textContent
  return true
}

// A progress bar, without a number if the table has no progress column.
export function progress(percent, label) {
  const known = typeof percent === 'number' && Number.isFinite(percent)
  const shown = known ? Math.min(100, Math.max(0, percent)) : 0
  const bar = el(known ? 'span.bar' : 'span.bar.unknown', el('span'))
  bar.setAttribute('role', 'progressbar')
  bar.setAttribute('aria-label', label)
  if (known) bar.setAttribute('aria-valuenow', shown.toFixed(0))
  bar.firstElementChild.style.width = `${shown}%`
  return [bar, el('span.percent', known ? `${Math.floor(shown)} %` : '')]
}

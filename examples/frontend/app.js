// Inserts a row as a signed-in user, and follows it until the film can be played.

const supabase = window.supabase.createClient(window.config.url, window.config.key)

const element = (selector) => document.querySelector(selector)
const film = { width: 640, height: 360, fps: 30, duration: 4 }

let user

onSubmit('#sign-in', async ({ email, password }) => {
  const { data } = await succeed(supabase.auth.signInWithPassword({ email, password }))
  user = data.user
  element('#sign-in').hidden = true
  element('#export').hidden = false
})

onSubmit('#export', async ({ title }) => {
  const id = crypto.randomUUID()
  await follow(id)
  // First the row, then the timeline: the service waits for the timeline.
  await succeed(
    supabase.from('export_jobs').insert({ id, user_id: user.id, project_id: crypto.randomUUID(), status: 'queued', ...film }),
  )
  await succeed(
    supabase.storage
      .from('export_data')
      .upload(`${user.id}/${id}/timeline.json`, JSON.stringify(timeline(title)), { contentType: 'application/json' }),
  )
})

// Two channels report progress. The row is authoritative; the broadcast only moves the bar more smoothly.
async function follow(id) {
  element('#job').hidden = false
  show({ status: 'queued', progress: 0 })

  await joined(
    supabase
      .channel(`export ${id}`)
      .on(
        'postgres_changes',
        { event: 'UPDATE', schema: 'public', table: 'export_jobs', filter: `id=eq.${id}` },
        ({ new: row }) => show(row),
      ),
    { waits: 'postgres_changes' },
  )
  await joined(
    supabase
      .channel(`listener:user:${user.id}`, { config: { private: true } })
      .on('broadcast', { event: 'progress' }, ({ payload }) => {
        if (payload.key === id) move(payload.percent)
      }),
  )
}

// Resolves when the channel receives events. For row changes that is later than SUBSCRIBED.
function joined(channel, { waits } = {}) {
  return new Promise((resolve, reject) => {
    if (waits) {
      channel.on('system', {}, ({ extension, status }) => {
        if (extension === waits && status === 'ok') resolve()
      })
    }
    channel.subscribe((state, error) => {
      if (state === 'SUBSCRIBED' && !waits) resolve()
      if (state === 'CHANNEL_ERROR' || state === 'TIMED_OUT') reject(error ?? new Error('Realtime does not respond'))
    })
  })
}

function show(row) {
  element('#status').textContent = row.error_message ?? row.status
  move(row.progress)
  if (row.status === 'completed') {
    element('video').hidden = false
    element('video').src = row.download_url
    element('video').play()
  }
}

function move(percent) {
  const bar = element('progress')
  bar.value = Math.max(bar.value, percent ?? 0)
}

function timeline(title) {
  const style = { fontSize: 40, color: '#ffffff', x: 0, y: 0, trimStart: 0, trimEnd: 0 }
  const text = { type: 'text', name: 'title', content: title, startTime: 0, duration: film.duration, ...style }
  return {
    project: { name: title, canvasSize: film, backgroundColor: '#264653' },
    tracks: [{ name: 'Titles', type: 'text', elements: [text] }],
    mediaItems: {},
  }
}

function onSubmit(form, handle) {
  element(form).addEventListener('submit', async (event) => {
    event.preventDefault()
    element('#problem').textContent = ''
    try {
      await handle(Object.fromEntries(new FormData(event.target)))
    } catch (error) {
      element('#problem').textContent = error.message
    }
  })
}

async function succeed(request) {
  const answer = await request
  if (answer.error) throw answer.error
  return answer
}

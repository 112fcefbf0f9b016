// Listen with the real JavaScript client to the topic and table that the arguments name. Prints events, a JSON value a line.
import { RealtimeClient } from '@supabase/realtime-js'
import WebSocket from 'ws'

const [url, key, vsn, topic, table] = process.argv.slice(2)
const say = (what, value) => console.log(JSON.stringify([what, value]))

const client = new RealtimeClient(`${url}/realtime/v1`, { params: { apikey: key }, vsn, transport: WebSocket })
await client.setAuth(key)
client
  .channel(topic, { config: { private: true, broadcast: { self: true, ack: true } } })
  .on('broadcast', { event: 'wake' }, ({ payload }) => say('wake', payload.queue))
  .on('broadcast', { event: 'echo' }, ({ payload }) => say('echo', payload.text))
  .on('postgres_changes', { event: 'INSERT', schema: 'public', table }, ({ new: row }) => say('insert', row.id))
  .on('system', {}, ({ message }) => say('system', message))
  .subscribe((state) => say('state', state))

process.stdin.on('data', async () => {
  const channel = client.getChannels()[0]
  say('sent', await channel.send({ type: 'broadcast', event: 'echo', payload: { text: 'hello' } }))
})
process.stdin.on('end', () => process.exit())

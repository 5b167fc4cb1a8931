// A real Wechaty gateway without any WeChat account, driven line by line.
//
// WECHATY_TOKEN=secret node gateway.js --endpoint 127.0.0.1:8788 [--self bob] [--cert FILE --key FILE | --default-cert]
//
// Without a certificate it speaks plain HTTP/2. Each line of standard input is one JSON object; `do` says what happens:
//
//   {"do": "contact", "id": ID, "name"?, "alias"?, "weixin"?}    a contact there is, or is changed
//   {"do": "room", "id": "…@chatroom", "members": [ID, …], "topic"?}
//   {"do": "scan", "qr"?: PAYLOAD, "status"?: NUMBER}             2 waiting (as it is without), 3 scanned, 4 confirmed, 5 timeout
//   {"do": "login"}, {"do": "logout", "reason"?}                  the account's own session
//   {"do": "say", "from": ID, "text": TEXT, "room"?, "id"?, "at"?: MILLISECONDS}
//   {"do": "repeat", "id": MESSAGE}                               a message is delivered once more
//   {"do": "fail", "times": N, "text"?, "code"?}                  the next N sends are refused
//   {"do": "delay", "seconds": N}                                 every send takes that long from now on
//   {"do": "mute"}                                                the event stream stays open and tells nothing any more
//
// Each is answered by {"event": "done", "do": …} (of say with the message's "id") or {"event": "error", "text": …}.
// Besides, one line for each:
//
//   {"event": "listening", "endpoint": …}
//   {"event": "connected"}                                        a client hears events from now on
//   {"event": "sent", "id", "type": "text" | "file" | "link", "to", "text"?, "filename"?, "bytes"?, "data"?: BASE64, "url"?}
//   {"event": "recalled", "id"}
//
// It ends when standard input does.

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import './languages.js'
import * as PUPPET from 'wechaty-puppet'
import { mock, PuppetMock } from 'wechaty-puppet-mock'
import { PuppetServer } from 'wechaty-puppet-service'

const { values: options } = parseArgs({
  options: {
    endpoint: { type: 'string' },
    self: { type: 'string', default: 'bot' },
    cert: { type: 'string' },
    key: { type: 'string' },
    'default-cert': { type: 'boolean', default: false },
  },
})

function fail (sentence) {
  process.stderr.write(`gateway: ${sentence}\n`)
  process.exit(1)
}

if (!options.endpoint || !process.env.WECHATY_TOKEN || !options.cert !== !options.key) {
  fail('expected --endpoint HOST:PORT, WECHATY_TOKEN in the environment, and --cert and --key both or neither')
}

const tell = record => process.stdout.write(`${JSON.stringify(record)}\n`)
const pause = seconds => new Promise(resolve => setTimeout(resolve, seconds * 1000))

// The mock, except that what is sent is reported, gets an id, and can be made to fail.
class Puppet extends PuppetMock {
  sent = 0
  failures = { times: 0 }
  delay = 0

  async #accept (to, record) {
    if (this.delay) {
      await pause(this.delay)
    }
    if (this.failures.times > 0) {
      this.failures.times -= 1
      throw Object.assign(new Error(this.failures.text ?? 'refused'), { code: this.failures.code })
    }
    if (!this.isLoggedIn) {
      throw new Error('not logged in')
    }
    if (!mocker.cacheContactPayload.has(to) && !mocker.cacheRoomPayload.has(to)) {
      throw new Error(`no conversation ${to}`)
    }
    this.sent += 1
    const id = `${options.self}-sent-${boot}-${this.sent}`
    tell({ event: 'sent', id, to, ...record })
    deliver({ id, from: this.currentUserId, to, text: record.text ?? '', type: record.type })
    return id
  }

  async messageSendText (to, text) {
    return this.#accept(to, { type: 'text', text })
  }

  async messageSendFile (to, file) {
    const data = await file.toBase64()
    return this.#accept(to, { type: 'file', filename: file.name, bytes: Buffer.from(data, 'base64').length, data })
  }

  async messageSendUrl (to, link) {
    return this.#accept(to, { type: 'link', text: link.title, url: link.url })
  }

  async messageRecall (id) {
    tell({ event: 'recalled', id })
    return true
  }

  ding (data = '') {
    setImmediate(() => this.emit('dong', { data }))
  }
}

const mocker = new mock.Mocker()
const puppet = new Puppet({ mocker })
const TYPES = { text: PUPPET.types.Message.Text, file: PUPPET.types.Message.Image, link: PUPPET.types.Message.Url }
const boot = Date.now().toString(36) // no id comes again after a restart
let said = 0

function deliver ({ id, from, to, room, text, type = 'text', at }) {
  said += 1
  const isRoom = room !== undefined || mocker.cacheRoomPayload.has(to)
  const payload = {
    id: id ?? `${options.self}-message-${boot}-${said}`,
    talkerId: from,
    text,
    timestamp: at ?? Date.now(),
    type: TYPES[type],
    ...(isRoom ? { roomId: room ?? to, mentionIdList: [] } : { listenerId: to ?? options.self }),
  }
  mocker.cacheMessagePayload.set(payload.id, payload)
  puppet.emit('message', { messageId: payload.id })
  return { id: payload.id }
}

const known = (id, cache, what) => {
  if (!cache.has(id)) {
    throw new Error(`no ${what} '${id}'; expected one of ${[...cache.keys()].join(', ') || 'none'}`)
  }
}

// What each command needs, and does.
const ACTIONS = {
  contact: [['id'], ({ id, name = id, alias = '', weixin = '' }) => {
    const payload = { id, name, alias, weixin, handle: weixin, gender: 0, type: 1, avatar: '', phone: [], friend: true }
    if (mocker.cacheContactPayload.has(id)) {
      mocker.cacheContactPayload.set(id, payload)
      return puppet.dirtyPayload(PUPPET.types.Payload.Contact, id)
    }
    mocker.createContact(payload)
  }],
  room: [['id', 'members'], ({ id, members, topic = id }) => {
    mocker.createRoom({ id, topic, memberIdList: members })
  }],
  scan: [[], ({ qr, status = PUPPET.types.ScanStatus.Waiting }) => { puppet.emit('scan', { qrcode: qr, status }) }],
  login: [[], () => puppet.login(options.self)],
  logout: [[], ({ reason = 'logged out by the test' }) => puppet.logout(reason)],
  say: [['from', 'text'], ({ from, room, ...message }) => {
    known(from, mocker.cacheContactPayload, 'contact')
    if (room !== undefined) {
      known(room, mocker.cacheRoomPayload, 'room')
    }
    return deliver({ from, room, ...message })
  }],
  repeat: [['id'], ({ id }) => {
    known(id, mocker.cacheMessagePayload, 'message')
    puppet.emit('message', { messageId: id })
  }],
  fail: [['times'], failures => { puppet.failures = failures }],
  delay: [['seconds'], ({ seconds }) => { puppet.delay = seconds }],
  mute: [[], () => { puppet.emit = () => true }],
}

async function perform (line) {
  let command
  try {
    command = JSON.parse(line)
  } catch {
    throw new Error(`not JSON: ${line}; expected an object such as {"do": "login"}`)
  }
  const { do: action, ...values } = Object(command)
  if (!Object.hasOwn(ACTIONS, action)) {
    throw new Error(`unknown command '${action}'; expected one of ${Object.keys(ACTIONS).join(', ')}`)
  }
  const [needed, act] = ACTIONS[action]
  const missing = needed.filter(key => values[key] === undefined)
  if (missing.length) {
    throw new Error(`${action} lacks ${missing.join(', ')}`)
  }
  return { do: action, ...await act(values) }
}

await perform(`{"do": "contact", "id": ${JSON.stringify(options.self)}}`)

const tls = options.cert
  ? { serverCert: readFileSync(options.cert, 'utf8'), serverKey: readFileSync(options.key, 'utf8') }
  : { disable: !options['default-cert'] }
const server = new PuppetServer({ endpoint: options.endpoint, puppet, token: process.env.WECHATY_TOKEN, tls })
try {
  await server.start()
} catch (error) {
  fail(`cannot listen on ${options.endpoint}: ${error.message}`)
}
await puppet.start()
puppet.on('newListener', name => {
  if (name === 'dong') {
    tell({ event: 'connected' })
  }
})
tell({ event: 'listening', endpoint: options.endpoint })

for await (const line of createInterface({ input: process.stdin })) {
  try {
    tell({ event: 'done', ...await perform(line) })
  } catch (error) {
    tell({ event: 'error', text: String(error.message) })
  }
}
process.exit(0)

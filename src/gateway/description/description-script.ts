/**
 * What the page runs in the browser: sends a form as the request that it describes. Addresses are relative
 * to the page, so that a front may serve the broker under a prefix. The token stays in its field: it is
 * stored nowhere, and credentials that the browser would add by itself are left out.
 */
export const DESCRIPTION_SCRIPT = `
const MOST_SHOWN = 65536
const token = document.getElementById('token')

for (const form of document.forms) {
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    send(form)
  })
}

async function send(form) {
  const output = form.querySelector('output')
  const stop = form.querySelector('.stop')
  const abort = new AbortController()
  stop.hidden = false
  stop.onclick = () => abort.abort()
  output.textContent = '...'
  try {
    const response = await fetch(addressOf(form), {
      method: form.dataset.method,
      headers: headersOf(form),
      body: bodyOf(form),
      credentials: 'omit',
      signal: abort.signal,
    })
    const fields = [...response.headers].map(([name, value]) => name + ': ' + value).join('\\n')
    output.textContent = response.status + ' ' + response.statusText + '\\n' + fields + '\\n\\n'
    await show(response, output)
  } catch (error) {
    output.textContent += '\\n' + (abort.signal.aborted ? 'stopped' : error.message)
  } finally {
    stop.hidden = true
  }
}

async function show(response, output) {
  if (response.body === null) return
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let shown = 0
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    output.append(part.value.slice(0, MOST_SHOWN - shown))
    shown += part.value.length
    if (shown > MOST_SHOWN) {
      await reader.cancel()
      throw new Error('the rest is not shown')
    }
  }
}

function fieldsIn(form, place) {
  return [...form.querySelectorAll('[data-in=' + place + ']')]
    .filter(({ value }) => value !== '')
    .map(({ name, value }) => [name, value])
}

function addressOf(form) {
  let path = form.dataset.path
  for (const [name, value] of fieldsIn(form, 'path')) {
    path = path.replace('{' + name + '}', () => value.split('/').map(encodeURIComponent).join('/'))
  }
  const query = new URLSearchParams(fieldsIn(form, 'query')).toString()
  return '.' + path + (query === '' ? '' : '?' + query)
}

function headersOf(form) {
  const headers = new Headers(fieldsIn(form, 'header'))
  if (token.value !== '') headers.set('Authorization', 'Bearer ' + token.value.trim())
  const type = form.elements.type?.value
  // The browser adds the boundary of a form.
  if (type && type !== 'multipart/form-data' && type !== '*/*') headers.set('Content-Type', type)
  return headers
}

function bodyOf(form) {
  const { files, body } = form.elements
  if (files) {
    const data = new FormData()
    for (const file of files.files) data.append('file', file)
    return data
  }
  return body ? new Blob([body.value]) : undefined
}
`

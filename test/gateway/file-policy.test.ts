import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseFilePolicy } from '../../src/gateway/file-policy-file.ts'
import type { FilePath } from '../../src/protocol/file-path.ts'

function policyOf(content: unknown) {
  const policy = parseFilePolicy('/etc/broker/files.json', JSON.stringify(content))
  assert.ok(policy.ok, policy.ok ? '' : policy.error.join('\n'))
  return policy.value
}

function faultsOf(text: string): readonly string[] {
  const policy = parseFilePolicy('/etc/broker/files.json', text)
  assert.ok(!policy.ok)
  return policy.error
}

const path = (text: string) => text as FilePath

describe('a file policy', () => {
  it('has limits in bytes, and defaults for those that it does not name', () => {
    const { limits } = policyOf({ quota: '2GiB', slowestUpload: '1KiB', uploadsAtOnce: 8 })
    assert.deepEqual(limits, {
      freeBytes: 64 * 2 ** 20,
      quotaBytes: 2 * 2 ** 30,
      userQuotaBytes: Number.POSITIVE_INFINITY,
      uploadsAtOnce: 8,
      slowestUpload: 1024,
    })
  })

  it('answers each question by the first rule that speaks of it', () => {
    const policy = policyOf({
      rules: [
        { paths: '**/*.json', content: { schema: 'schemas/any.json' } },
        { paths: ['releases/**', 'builds/*/final/**'], undelete: '7d', conditional: true },
        { paths: '**', undelete: '1h', versions: { keep: 3, for: '30d' } },
      ],
    })
    const file = path('releases/1.0/manifest.json')
    assert.equal(policy.of('undeleteMs', file), 7 * 86_400_000)
    assert.equal(policy.of('undeleteMs', path('other')), 3_600_000)
    assert.equal(policy.of('conditional', path('builds/app/final/x/y')), true)
    assert.equal(policy.of('conditional', path('builds/app/other')), undefined)
    assert.deepEqual(policy.of('versions', file), { keep: 3, ageMs: 30 * 86_400_000 })
    assert.deepEqual(policy.of('content', file), {
      commandMs: 10_000,
      schema: '/etc/broker/schemas/any.json',
    })
    assert.ok(policy.lacks('retainMs'))
    assert.ok(!policy.lacks('versions'))
  })

  it('is refused with every fault and its place', () => {
    assert.deepEqual(faultsOf('{'), ['/etc/broker/files.json: is not JSON'])
    const unknown = JSON.stringify({ quotas: '1GiB', rules: [{ paths: [] }] })
    assert.ok(faultsOf(unknown).some((fault) => /\/rules\/0\/paths/.test(fault)))
    assert.ok(faultsOf(unknown).some((fault) => /additional propert/.test(fault)))
    const wrong = { quota: 'much', rules: [{ paths: '/x', undelete: 'a week' }] }
    assert.deepEqual(
      faultsOf(JSON.stringify(wrong)).map((fault) => fault.split(' ')[1]),
      ['/quota', '/rules/0/paths', '/rules/0/undelete'],
    )
  })
})

// Writes docs/configuration.md from the schema of the settings.
import { writeFile } from 'node:fs/promises'
import { configurationPage } from '../src/gateway/settings/settings-page.ts'

await writeFile(new URL('../docs/configuration.md', import.meta.url), configurationPage())

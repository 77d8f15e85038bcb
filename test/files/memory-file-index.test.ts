import { fileIndexContract } from '../contract/file-index.ts'
import { openMemoryIndex } from './support-index.ts'

fileIndexContract('memory file index', openMemoryIndex)

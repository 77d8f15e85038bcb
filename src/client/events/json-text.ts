/** JSON that is published as it is written: key order and large numbers stay what they are. */
export class JsonText {
  readonly text: string

  /** @throws {SyntaxError} when `text` is not JSON */
  constructor(text: string) {
    JSON.parse(text)
    this.text = text
  }
}

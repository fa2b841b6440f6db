// A page that was opened as a file may start no worker. This runs the worker's script in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      document.body.appendChild(this.frame)
      const inner = this.frame.contentWindow
      const load = address => new Promise((done, failed) => {
        const script = inner.document.createElement("script")
        script.src = address
        script.onload = done
        script.onerror = () => failed(new Error(`cannot load ${address}`))
        inner.document.head.appendChild(script)
      })
      // Scripts of the worker answer by postMessage, which a frame would send to itself.
      inner.postMessage = data => this.answer(data)
      inner.importScripts = (...addresses) => addresses.reduce((before, each) => before.then(() => load(each)), Promise.resolve())
      this.ready = load(new URL(url, location.href).href)
    }
    answer(data) {
      const event = new MessageEvent("message", { data })
      this.dispatchEvent(event)
      if (this.onmessage) this.onmessage(event)
    }
    postMessage(data) {
      this.ready.then(() => {
        const inner = this.frame.contentWindow
        inner.dispatchEvent(new inner.MessageEvent("message", { data }))
      })
    }
    terminate() { this.frame.remove() }
  }
}

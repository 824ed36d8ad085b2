/* Recordings on one clock. All always run together; switching only changes their gains, so the position in
   the recording stays the same. Independent of the page. */
class Player {
  static FADE = 0.008; // seconds: short enough to sound like a cut, long enough to avoid a click

  static decode(context, base64) {
    const text = atob(base64), bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return context.decodeAudioData(bytes.buffer);
  }

  constructor(context, buffers, gains) {
    this.context = context;
    this.buffers = buffers;
    this.gains = gains; // decibels that make both equally loud
    this.matched = true;
    this.loop = false;
    this.side = 0;
    this.offset = 0;
    this.sources = null;
    this.duration = Math.min(...buffers.map((buffer) => buffer.duration));
    this.faders = buffers.map(() => context.createGain());
    this.out = context.createGain();
    this.faders.forEach((fader) => fader.connect(this.out));
    this.out.connect(context.destination);
    this.level(0);
    this.onend = () => {};
  }

  get playing() { return this.sources !== null; }

  /* Seconds into the recording, of what is being computed now. */
  get position() {
    if (!this.sources) return this.offset;
    const passed = Math.max(0, this.context.currentTime - this.began) + this.offset;
    return this.loop ? passed % this.duration : Math.min(passed, this.duration);
  }

  play() {
    if (this.sources) return;
    if (this.offset >= this.duration - 0.01) this.offset = 0;
    this.began = this.context.currentTime + 0.02;
    this.sources = this.buffers.map((buffer, side) => {
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.loop = this.loop;
      source.loopEnd = this.duration;
      source.connect(this.faders[side]);
      source.start(this.began, this.offset); // the same instant for both
      return source;
    });
    const ours = this.sources;
    ours[0].onended = () => {
      if (this.sources !== ours) return;
      this.pause();
      this.offset = 0;
      this.onend();
    };
  }

  pause() {
    if (!this.sources) return;
    const at = this.position, old = this.sources;
    this.sources = null;
    this.offset = at;
    old.forEach((source) => source.stop());
  }

  seek(seconds) {
    const running = this.playing;
    this.pause();
    this.offset = Math.min(Math.max(0, seconds), this.duration);
    if (running) this.play();
  }

  choose(side) {
    this.side = side;
    this.level(Player.FADE);
  }

  volume(share) {
    this.out.gain.value = share * share; // half of the slider sounds closer to half as loud
  }

  match(on) {
    this.matched = on;
    this.level(Player.FADE);
  }

  repeat(on) {
    const at = this.position;
    this.loop = on;
    if (this.playing) this.seek(at);
  }

  level(fade) {
    const now = this.context.currentTime;
    this.faders.forEach(({ gain }, side) => {
      const goal = side !== this.side ? 0 : this.matched ? 10 ** (this.gains[side] / 20) : 1;
      gain.cancelScheduledValues(now);
      gain.setValueAtTime(gain.value, now);
      gain.linearRampToValueAtTime(goal, now + Math.max(fade, 1e-4));
    });
  }

  close() {
    this.pause();
    this.out.disconnect();
  }
}

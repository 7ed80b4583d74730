// Where a chart is drawn: in a worker, which the page waits for in nothing; in the page itself where the browser can't.

import type { Painter, Picture, Size, Touch } from './picture';
import type { Order } from './picture_worker';

export interface Easel {
  draw(picture: Picture): void;
  resize(size: Size): void;
  touch(touch: Touch): void;
  dispose(): void;
}

export function easel(canvas: HTMLCanvasElement, size: Size): Easel {
  return 'transferControlToOffscreen' in canvas ? beside(canvas, size) : within(canvas, size);
}

function beside(canvas: HTMLCanvasElement, size: Size): Easel {
  const worker = new Worker(new URL('./picture_worker.ts', import.meta.url), { type: 'module' });
  const send = (order: Order, moved: Transferable[] = []) => worker.postMessage(order, moved);
  const drawn = canvas.transferControlToOffscreen();
  send({ what: 'begin', canvas: drawn, size }, [drawn]);
  return {
    draw: (picture) => send({ what: 'draw', picture }),
    resize: (size) => send({ what: 'resize', size }),
    touch: (touch) => send({ what: 'touch', touch }),
    dispose: () => worker.terminate(),
  };
}

function within(canvas: HTMLCanvasElement, size: Size): Easel {
  let gone = false;
  const painter: Promise<Painter> = import('./picture').then(({ Painter }) => new Painter(canvas, size));
  // What was asked for after the chart went isn't done any more.
  const then = (run: (it: Painter) => void) => void painter.then((it) => gone || run(it));
  return {
    draw: (picture) => then((it) => it.draw(picture)),
    resize: (size) => then((it) => it.resize(size)),
    touch: (touch) => then((it) => it.touch(touch)),
    dispose: () => {
      then((it) => it.dispose());
      gone = true;
    },
  };
}

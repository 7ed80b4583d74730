// Draws one chart beside the page.

import { Painter, type Picture, type Size, type Touch } from './picture';

export type Order =
  | { what: 'begin'; canvas: OffscreenCanvas; size: Size }
  | { what: 'draw'; picture: Picture }
  | { what: 'resize'; size: Size }
  | { what: 'touch'; touch: Touch };

let painter: Painter | undefined;

addEventListener('message', ({ data }: MessageEvent<Order>) => {
  switch (data.what) {
    case 'begin':
      painter = new Painter(data.canvas, data.size);
      break;
    case 'draw':
      painter?.draw(data.picture);
      break;
    case 'resize':
      painter?.resize(data.size);
      break;
    case 'touch':
      painter?.touch(data.touch);
  }
});

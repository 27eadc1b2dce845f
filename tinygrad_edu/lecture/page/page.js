'use strict';
(() => {
const $ = (s, r = document) => [...r.querySelectorAll(s)];
const one = (s, r = document) => r.querySelector(s);
const fixed = (x, d = 4) => {
  let s = x.toFixed(d);
  if (+s === 0) s = s.replace('-', '');
  return s.replace('-', '−');
};
const sup = (e) => String(e).replace('-', '⁻').replace(/\d/g, (c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[c]);
const sci = (x) => {
  if (!x) return '0';
  const e = Math.floor(Math.log10(x));
  return (x / 10 ** e).toFixed(1) + '·10' + sup(e);
};
const put = (e, o) => { for (const i in o) e.setAttribute(i, o[i]); };

// The same part lights up in formula, picture and table; by mouse, click, and keyboard.
$('main > section').forEach((section) => {
  const all = $('[data-k]', section);
  const formula = (e) => e.classList.contains('lk');
  const light = (k, on, by) => all.forEach((e) => {
    if (e.dataset.k === k && (e === by || !formula(e) || !formula(by))) e.classList.toggle('on', on);
  });
  all.forEach((e) => {
    e.addEventListener('mouseenter', () => light(e.dataset.k, true, e));
    e.addEventListener('mouseleave', () => light(e.dataset.k, false, e));
    if (!formula(e)) return;
    e.setAttribute('tabindex', 0);
    e.addEventListener('focus', () => light(e.dataset.k, true, e));
    e.addEventListener('blur', () => light(e.dataset.k, false, e));
  });
});

// Enlarge.
const dialog = document.createElement('dialog');
document.body.append(dialog);
$('.enl').forEach((button) => {
  button.onclick = () => {
    const close = document.createElement('button');
    close.textContent = button.dataset.close;
    close.onclick = () => dialog.close();
    close.autofocus = true;
    const box = document.createElement('div');
    box.className = 'scroll';
    const copy = one('svg', button.parentNode).cloneNode(true);
    $('[id]', copy).forEach((e) => e.removeAttribute('id'));
    box.append(copy);
    dialog.replaceChildren(close, box);
    dialog.showModal();
  };
});

// Groups of buttons.
const acts = {
  bw: (v, g) => one('svg', g.closest('figure')).classList.toggle('nobw', v === 'f'),
  ex: (v, g) => $('[data-ex]', g.closest('figure')).forEach((e) => {
    e.textContent = JSON.parse(e.dataset.ex)[v];
  }),
  outer: (v, g) => {
    const figure = g.closest('figure');
    $('.o', figure).forEach((o) => o.classList.toggle('cur', o.dataset.i === v));
    $('[data-st]', figure).forEach((e) => { e.textContent = JSON.parse(e.dataset.st)[v]; });
    const label = one('[data-lab]', figure);
    label.textContent = JSON.parse(label.dataset.lab)[v];
  },
  sub: (v, g) => $('[data-sub]', g.closest('section')).forEach((e) => { e.hidden = e.dataset.sub !== v; }),
};
$('[data-sub]').forEach((e) => { e.hidden = e.dataset.sub !== 's'; });
$('[data-group]').forEach((g) => $('button', g).forEach((b) => {
  b.onclick = () => {
    $('button', g).forEach((x) => x.setAttribute('aria-pressed', x === b));
    acts[g.dataset.group](b.value, g);
  };
}));

// Sliders that show one of several prepared pictures.
$('input[data-frames]').forEach((input) => {
  const figure = input.closest('figure');
  const labels = JSON.parse(input.dataset.frames);
  const go = () => {
    $('[data-show]', figure).forEach((e) => e.classList.toggle('show', e.dataset.show === input.value));
    one('output', figure).textContent = labels[input.value];
  };
  input.oninput = go;
  go();
});

// S2: one z on all plots; the numbers are those computed at each place of the slider.
const z2 = document.getElementById('z2');
if (z2) {
  const go = () => {
    const z = +z2.value;
    const i = Math.round((z + 4) / 0.05);
    one('output', z2.closest('figure')).textContent = 'z = ' + fixed(z, 2);
    $('[data-samples]', z2.closest('figure')).forEach((pair) => {
      const [gs, slopes] = JSON.parse(pair.dataset.samples);
      const [A, B] = JSON.parse(pair.dataset.plot);
      const X = (p) => p[0] + ((z + 4) / 8) * p[2];
      const Y = (p, v) => p[1] + p[3] - ((v - p[4]) / (p[5] - p[4])) * p[3];
      const v = gs[i];
      const k = slopes[i];
      put(one('.vpt', pair), {cx: X(A), cy: Y(A, v)});
      put(one('.ppt', pair), {cx: X(B), cy: Y(B, k)});
      const dx = 30;
      const dy = k * dx * (A[3] / (A[5] - A[4])) / (A[2] / 8);
      const c = Math.min(1, 42 / Math.hypot(dx, dy));
      put(one('.tan', pair), {x1: X(A) - dx * c, x2: X(A) + dx * c, y1: Y(A, v) + dy * c, y2: Y(A, v) - dy * c});
      const texts = $('.num-', pair);
      texts[0].textContent = fixed(v, 3);
      texts[1].textContent = fixed(k, 3);
    });
  };
  z2.oninput = go;
  go();
}

// S3: secants become the tangent.
const eps = document.getElementById('eps');
if (eps) {
  const figure = eps.closest('figure');
  const svg = one('svg', figure);
  const q = JSON.parse(svg.dataset.plot);
  const samples = JSON.parse(eps.dataset.samples);
  const w = +eps.dataset.w;
  const slope = +eps.dataset.true;
  const X = (x) => q[0] + ((x - q[4]) / (q[5] - q[4])) * q[2];
  const Y = (y) => q[1] + q[3] - ((y - q[6]) / (q[7] - q[6])) * q[3];
  const long = (x, y, m) => ({x1: X(x - 6), y1: Y(y - 6 * m), x2: X(x + 6), y2: Y(y + 6 * m)});
  const go = () => {
    const e = 10 ** +eps.value;
    const [low, high, central, right] = samples[Math.round((+eps.value + 6) / 0.05)];
    put(one('.p1', svg), {cx: X(w - e), cy: Y(low)});
    put(one('.p2', svg), {cx: X(w + e), cy: Y(high)});
    put(one('.sec', svg), long(w - e, low, central));
    put(one('.one', svg), long(w + e, high, right));
    const say = (c, t) => { one(c, figure).textContent = t; };
    say('.ve', e >= 0.01 ? fixed(e, 2) : sci(e));
    say('.vk', fixed(central, 6));
    say('.v1', fixed(right, 6));
    say('.vd', sci(Math.abs(central - slope)));
    say('.vd1', sci(Math.abs(right - slope)));
  };
  eps.oninput = go;
  go();
}

// S1: a line to try.
const angle = document.getElementById('ang');
if (angle) {
  const shift = document.getElementById('shf');
  const figure = angle.closest('figure');
  const svg = one('svg', figure);
  const output = one('output', figure);
  const q = JSON.parse(svg.dataset.plot);
  const X = (x) => q[0] + ((x + 0.5) / 2) * q[2];
  const Y = (y) => q[1] + q[2] - ((y + 0.5) / 2) * q[2];
  const points = [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]];
  let best = 0;
  const go = () => {
    const a = angle.value * Math.PI / 180;
    const n = [Math.cos(a), Math.sin(a)];
    const c = +shift.value;
    const inside = (p) => (p[0] - 0.5) * n[0] + (p[1] - 0.5) * n[1] > c;
    const right = points.filter((p) => inside(p) === !!p[2]).length;
    best = Math.max(best, right);
    const m = [0.5 + n[0] * c, 0.5 + n[1] * c];
    const at = (u, v) => X(m[0] - u * n[1] + v * n[0]).toFixed(1) + ' ' + Y(m[1] + u * n[0] + v * n[1]).toFixed(1);
    put(one('.half', svg), {d: 'M' + [at(-4, 0), at(4, 0), at(4, 4), at(-4, 4)].join('L') + 'z'});
    put(one('.ln', svg), {d: 'M' + at(-4, 0) + 'L' + at(4, 0)});
    output.textContent = output.dataset.text.replace('#', right) + ' (' + output.dataset.best + ': ' + best + ')';
  };
  angle.oninput = shift.oninput = go;
  go();
}

// Light or dark.
document.getElementById('theme').onclick = () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === 'dark'
    : matchMedia('(prefers-color-scheme:dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
};

// In print nothing is folded.
addEventListener('beforeprint', () => $('details').forEach((d) => { d.dataset.was = d.open ? 1 : ''; d.open = true; }));
addEventListener('afterprint', () => $('details').forEach((d) => { d.open = !!d.dataset.was; }));

// n and p: next and previous section; the bar shows where one is.
const sections = $('main > section');
const watch = new IntersectionObserver((entries) => entries.forEach((e) => {
  if (!e.isIntersecting) return;
  $('nav.bar a').forEach((a) => {
    if (a.getAttribute('href') === '#' + e.target.id) a.setAttribute('aria-current', 'true');
    else a.removeAttribute('aria-current');
  });
}), {rootMargin: '-30% 0px -60% 0px'});
sections.forEach((s) => watch.observe(s));
addEventListener('keydown', (e) => {
  if (e.target.matches('input') || dialog.open || e.ctrlKey || e.metaKey || e.altKey) return;
  const y = sections.findIndex((s) => s.getBoundingClientRect().top > 80);
  const i = e.key === 'n' ? (y < 0 ? sections.length - 1 : y)
    : e.key === 'p' ? Math.max(0, (y < 0 ? sections.length : y) - 2) : -1;
  if (i >= 0) sections[i].scrollIntoView();
});
})();

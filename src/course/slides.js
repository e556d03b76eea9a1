(() => {
  const slides = [...document.querySelectorAll('.slide')];
  const bar = document.querySelector('.bar');
  const where = bar.querySelector('span');
  let now = 0;
  const show = (index) => {
    now = Math.max(0, Math.min(slides.length - 1, index));
    slides.forEach((slide, other) => slide.classList.toggle('now', other === now));
    where.textContent = `${now + 1} / ${slides.length}`;
    history.replaceState(null, '', `#${slides[now].id}`);
  };
  const deck = (on) => {
    // From the list to the slide that is read there.
    const read = slides.findIndex((slide) => slide.getBoundingClientRect().bottom > 40);
    document.body.classList.toggle('deck', on);
    if (!on) slides[now].scrollIntoView();
    else if (read >= 0) show(read);
  };
  const asked = () => show(Math.max(0, slides.findIndex((slide) => `#${slide.id}` === location.hash)));
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    const list = !document.body.classList.contains('deck');
    const to = { ArrowRight: now + 1, PageDown: now + 1, ArrowLeft: now - 1, PageUp: now - 1, Home: 0, End: slides.length - 1 };
    if (event.key === 'Escape' || event.key === 'o') deck(list);
    else if (!list && event.key in to) show(to[event.key]);
    else if (!list && event.key === ' ' && event.target.tagName !== 'BUTTON') show(now + (event.shiftKey ? -1 : 1));
    else return;
    event.preventDefault();
  });
  bar.addEventListener('click', (event) => {
    const step = event.target.dataset.step;
    if (step) show(now + Number(step));
  });
  window.addEventListener('hashchange', asked);
  document.body.classList.add('deck');
  asked();
})();

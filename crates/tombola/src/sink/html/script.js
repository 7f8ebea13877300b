'use strict';
document.documentElement.classList.add('js');
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.textContent = '';
    head.append(button);
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') !== 'descending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const value = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const text = head.classList.contains('t');
      const compare = text ? (a, b) => value(a).localeCompare(value(b)) : (a, b) => value(a) - value(b);
      const rows = [...table.tBodies[0].rows].sort(compare);
      if (down !== text) rows.reverse();
      table.tBodies[0].append(...rows);
    });
  });
}
for (const section of document.querySelectorAll('.steps')) {
  const decisions = JSON.parse(document.getElementById('data').textContent).decisions[section.dataset.policy];
  const say = section.querySelector('.say');
  const mark = section.querySelector('.now');
  let at = 0;
  const show = () => {
    const decision = decisions[at];
    say.textContent = `${at + 1} of ${decisions.length}: ${decision.text}`;
    for (const name of ['x', 'y', 'width', 'height']) mark.setAttribute(name, decision[name]);
  };
  const go = by => { at = Math.min(Math.max(at + by, 0), decisions.length - 1); show(); };
  section.querySelector('.back').addEventListener('click', () => go(-1));
  section.querySelector('.next').addEventListener('click', () => go(1));
  show();
}

// SPDX-License-Identifier: MIT
// Draws the plots of the report from the figures that stand in the page.
'use strict';
const report = JSON.parse(document.getElementById('figures').textContent);
const style = getComputedStyle(document.documentElement);
Chart.defaults.color = style.getPropertyValue('--text');
Chart.defaults.borderColor = style.getPropertyValue('--line');
Chart.defaults.animation = false;
Chart.defaults.maintainAspectRatio = false;
const labels = report.levels.map(level => level.concurrency +
  (level.concurrency === 1 ? ' thread' : ' threads'));
function bars(way, label, color, value) {
  return { label, backgroundColor: color, data: report.levels.map(level => value(level[way])) };
}
function plot(id, type, unit, datasets) {
  new Chart(document.getElementById(id), { type: 'bar', data: { labels, datasets },
    options: { scales: { y: { type, title: { display: true, text: unit } } } } });
}
plot('times', 'logarithmic', 'milliseconds', [
  bars('pooled', 'pooled, median', '#1f77b4', way => way.p50_ms),
  bars('pooled', 'pooled, 90 %', '#5b9fd0', way => way.p90_ms),
  bars('pooled', 'pooled, 99 %', '#9cc6e6', way => way.p99_ms),
  bars('unpooled', 'unpooled, median', '#d9650b', way => way.p50_ms),
  bars('unpooled', 'unpooled, 90 %', '#ee9350', way => way.p90_ms),
  bars('unpooled', 'unpooled, 99 %', '#f7c49c', way => way.p99_ms)]);
for (const [id, type, unit, value] of [
  ['rates', 'logarithmic', 'statements per second', way => way.statements_per_second],
  ['churn', 'logarithmic', 'connections', way => way.statements > 0 ?
    1000 * way.connections_opened / way.statements : 0]])
  plot(id, type, unit, [bars('pooled', 'pooled', '#1f77b4', value),
    bars('unpooled', 'unpooled', '#d9650b', value)]);
document.body.dataset.state = 'drawn';

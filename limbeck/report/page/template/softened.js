"use strict";
{
  const slider = document.getElementById("temperature");
  if (slider) {
    const said = document.querySelector(".slider output");
    const answers = [...document.querySelectorAll(".answer")].map((answer) => ({
      logits: JSON.parse(answer.dataset.logits),
      shown: JSON.parse(answer.dataset.shown),
      rows: [...answer.querySelectorAll(".live li")],
    }));
    const soften = () => {
      const temperature = Number(slider.value);
      said.textContent = slider.value;
      for (const { logits, shown, rows } of answers) {
        const most = Math.max(...logits);
        const powers = logits.map((logit) => Math.exp((logit - most) / temperature));
        const sum = powers.reduce((total, power) => total + power, 0);
        shown.forEach((place, row) => {
          const share = ((100 * powers[place]) / sum).toFixed(1);
          rows[row].querySelector("i").style.width = `${share}%`;
          rows[row].querySelector(".share").textContent = `${share} %`;
        });
      }
    };
    for (const hidden of document.querySelectorAll(".slider, .live")) hidden.hidden = false;
    slider.addEventListener("input", soften);
    soften();
  }
}

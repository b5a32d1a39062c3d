// Every kind of question: answered by clicks, keys and files, and what the submission then holds.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { axe, closePage, fits, shot, startBrowser, targets } from './lib.mjs';
import { act, agent, county, handheld, root, run, serve, settled } from './handheld.mjs';

const kinds = [
    ['word', 'string'],
    ['long', 'string'],
    ['whole', 'int'],
    ['part', 'decimal'],
    ['day', 'date'],
    ['clock', 'time'],
    ['moment', 'dateTime'],
    ['one', 'string'],
    ['many', 'string'],
    ['scale', 'string'],
    ['big', 'string'],
    ['order', 'odk:rank'],
    ['minutes', 'int'],
    ['read', 'string'],
    ['where', 'geopoint'],
    ['way', 'geotrace'],
    ['field', 'geoshape'],
    ['code', 'barcode'],
    ['photo', 'binary'],
    ['sign', 'binary'],
    ['paper', 'binary'],
    ['shown', 'string'],
];
const items = (n, prefix) =>
    Array.from(
        { length: n },
        (x, i) =>
            `<item><label>${prefix} ${i + 1}</label><value>${prefix.charCodeAt(0).toString(16)}${i + 1}</value></item>`,
    ).join('');
const body = `
<input ref="/data/word"><label>叫什么名字？</label><hint>照身份证写</hint></input>
<input ref="/data/long" appearance="multiline"><label>还有什么要说？</label></input>
<input ref="/data/whole"><label>今年自己付的医疗费？</label></input>
<input ref="/data/part"><label>地有多少亩？</label></input>
<input ref="/data/day"><label>哪天出生？</label></input>
<input ref="/data/clock"><label>几点走的？</label></input>
<input ref="/data/moment"><label>什么时候发现的？</label></input>
<select1 ref="/data/one"><label>水从哪来？</label>${items(4, '水')}</select1>
<select ref="/data/many"><label>水从哪来？可选多个</label>${items(5, '水')}</select>
<select1 ref="/data/scale" appearance="likert"><label>住得满意吗？</label>${items(5, '满')}</select1>
<select1 ref="/data/big" appearance="minimal"><label>哪个村？</label>${items(120, '村')}</select1>
<odk:rank ref="/data/order"><label>最要紧的排前面</label>${items(3, '事')}</odk:rank>
<range ref="/data/minutes" start="0" end="60" step="5"><label>走几分钟？</label></range>
<trigger ref="/data/read"><label>下面问过去十二个月的收入</label></trigger>
<input ref="/data/where"><label>到门口定位</label></input>
<input ref="/data/way"><label>沿水渠走一遍</label></input>
<input ref="/data/field"><label>沿地块走一圈</label></input>
<input ref="/data/code"><label>扫一扫户卡</label></input>
<upload ref="/data/photo" mediatype="image/*"><label>拍住房照片</label></upload>
<upload ref="/data/sign" mediatype="image/*" appearance="signature"><label>请签字</label></upload>
<upload ref="/data/paper" mediatype="application/*"><label>附上证明</label></upload>
<input ref="/data/shown"><label>合计</label></input>`;
const form = `<h:html xmlns="http://www.w3.org/2002/xforms" xmlns:h="http://www.w3.org/1999/xhtml" xmlns:odk="http://www.opendatakit.org/xforms">
<h:head><h:title>各种题</h:title><model><instance><data id="kinds" version="1">${kinds.map((k) => `<${k[0]}/>`).join('')}<meta><instanceID/></meta></data></instance>
${kinds.map((k) => `<bind nodeset="/data/${k[0]}" type="${k[1]}" ${k[0] === 'shown' ? 'readonly="true()" calculate="/data/whole + 1"' : ''}/>`).join('\n')}
<bind nodeset="/data/meta/instanceID" type="string" readonly="true()" calculate="concat('uuid:', uuid())"/></model></h:head><h:body>${body}</h:body></h:html>`;

let browser, x, a, page;
before(async () => {
    browser = await startBrowser();
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'doorstep-kinds.')), 'kinds.xml');
    writeFileSync(file, form);
    x = await county({ forms: [file] });
    a = await serve(x);
    page = await handheld(browser, a);
});
after(async () => {
    await browser.close();
    await x.stop();
});
const pick = (text) =>
    page
        .locator('.choice')
        .filter({ has: page.getByText(text, { exact: true }) })
        .click();
const press = (name) => page.getByRole('button', { name, exact: true }).first().click();
const look = async (name) => {
    await settled(page);
    await page.waitForTimeout(150);
    await axe(page, name);
    await fits(page, name);
    await targets(page, name, 48);
    await shot(page, `handheld-type-${name}`);
};
const next = async () => {
    await settled(page);
    await act(page, () => page.click('#next'));
};

test('each kind of question takes its answer', async () => {
    await page.waitForSelector('.rows a');
    await page.getByRole('link', { name: /清水流/ }).click();
    await page.click('#start');
    await page.locator('dialog').getByRole('button', { name: '各种题' }).click();
    await page.waitForSelector('.q');
    const how = {
        word: () => page.locator('input.field').fill('张桂山'),
        long: () => page.locator('textarea').fill('房顶漏雨\n要修'),
        whole: async () => {
            for (const k of ['1', '.', '8', '4', '万']) if (k !== '.') await press(k);
        },
        part: async () => {
            for (const k of ['3', '.', '2']) await press(k);
        },
        day: async () => {
            for (const k of '19580302') await press(k);
        },
        clock: async () => {
            for (const k of '0930') await press(k);
        },
        moment: async () => {
            await press('今天');
            await press('现在');
        },
        one: () => pick('水 2'),
        many: async () => {
            await pick('水 1');
            await pick('水 4');
        },
        scale: () => pick('满 3'),
        big: async () => {
            await page.locator('.search input').fill('村 11');
            await pick('村 117');
        },
        order: async () => {
            for (const n of [3, 1, 2]) await press(`放入 事 ${n}`);
            await press('上移 事 1');
        },
        minutes: async () => {
            for (let i = 0; i < 4; i++) await press('加');
        },
        read: () => page.locator('.choice').click(),
        where: async () => {
            await page.getByText('手动输坐标').click();
            await page.getByLabel('纬度').fill('25.6');
            await page.getByLabel('经度').fill('100.26');
            await press('存好');
        },
        way: async () => {
            await page.getByText('手动输坐标').click();
            for (const p of [
                ['25.6', '100.26'],
                ['25.601', '100.261'],
            ]) {
                await page.getByLabel('纬度').fill(p[0]);
                await page.getByLabel('经度').fill(p[1]);
                await press('存好');
            }
        },
        field: async () => {
            await page.getByText('手动输坐标').click();
            for (const p of [
                ['25.6', '100.26'],
                ['25.601', '100.26'],
                ['25.601', '100.261'],
            ]) {
                await page.getByLabel('纬度').fill(p[0]);
                await page.getByLabel('经度').fill(p[1]);
                await press('存好');
            }
        },
        code: () => page.locator('input.field').fill('H0010'),
        photo: async () => {
            await page
                .locator('input[type=file]')
                .setInputFiles(path.join(root, 'docs/screens/findings.png'));
            await page.locator('.pictures img').waitFor();
        },
        sign: async () => {
            const b = await page.locator('canvas').boundingBox();
            await page.mouse.move(b.x + 30, b.y + 60);
            await page.mouse.down();
            for (let i = 1; i < 8; i++) await page.mouse.move(b.x + 30 + i * 25, b.y + 60 + (i % 2) * 30);
            await page.mouse.up();
            await press('签好了');
            await page.locator('.pictures img').waitFor();
        },
        paper: async () => {
            await page
                .locator('input[type=file]')
                .setInputFiles({
                    name: 'proof.pdf',
                    mimeType: 'application/pdf',
                    buffer: Buffer.from('%PDF-1.4 a proof'),
                });
            await page.locator('.pictures span').waitFor();
        },
        shown: () => undefined,
    };
    for (const [name] of kinds) {
        await page.waitForSelector(`.q[data-ref="/data/${name}"]`);
        await how[name]();
        await page.evaluate(() => document.activeElement.blur());
        await page.waitForTimeout(60);
        await look(name);
        await next();
    }
    await page.waitForSelector('#go');
    await page.click('#go');
    await page.waitForSelector('#receipt');
    await closePage(page);

    const out = path.join(x.work, 'odk');
    run(agent, 'export', '--odk', out, '--data', x.hand);
    const xmlFile = run('/bin/sh', '-c', `find ${out} -name submission.xml`).trim().split('\n')[0];
    const xml = readFileSync(xmlFile, 'utf8');
    const value = (name) => (new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml) ?? [])[1];
    assert.equal(value('word'), '张桂山');
    assert.match(value('long'), /房顶漏雨\n要修/);
    assert.equal(value('whole'), '1840000', '184 and 万');
    assert.equal(value('part'), '3.2');
    assert.equal(value('day'), '1958-03-02');
    assert.match(value('clock'), /^09:30/);
    assert.match(value('moment'), /^\d{4}-\d\d-\d\dT\d\d:\d\d/);
    assert.equal(value('one'), '6c342');
    assert.equal(value('many'), '6c341 6c344');
    assert.equal(value('scale'), '6ee13');
    assert.equal(value('big'), '6751117');
    assert.equal(value('order'), '4e8b1 4e8b3 4e8b2');
    assert.equal(value('minutes'), '15');
    assert.equal(value('read'), 'OK');
    assert.match(value('where'), /^25.6 100.26/);
    assert.equal(value('way').split(';').length, 2);
    assert.equal(value('field').split(';').length, 4, 'a shape is closed');
    assert.equal(value('code'), 'H0010');
    for (const name of ['photo', 'sign', 'paper']) assert.match(value(name), /\.(jpg|png|pdf)$/, name);
    assert.equal(value('shown'), '1840001');
});

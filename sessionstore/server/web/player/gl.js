/* The thin layer over WebGL: programs, and buffers with their attributes. */

export function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, `#version 300 es\nprecision highp float;\n${text}`);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  const uniforms = {};
  for (let index = 0; index < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); index += 1) {
    const { name } = gl.getActiveUniform(made, index);
    uniforms[name] = gl.getUniformLocation(made, name);
  }
  return { made, uniforms };
}

/** A vertex array: columns is [[attribute, numbers each, data, divisor]]; order names the corners by their numbers. */
export function arrays(gl, { made }, columns, { order = null, usage = gl.STATIC_DRAW } = {}) {
  const vao = gl.createVertexArray();
  const buffers = {};
  gl.bindVertexArray(vao);
  for (const [name, width, data, divisor] of columns) {
    const place = gl.getAttribLocation(made, name);
    const buffer = gl.createBuffer();
    buffers[name] = buffer;
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(data), usage);
    if (place < 0) continue;
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
    if (divisor) gl.vertexAttribDivisor(place, divisor);
  }
  if (order) {
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(order), usage);
  }
  gl.bindVertexArray(null);
  return { vao, buffers };
}

export function refill(gl, buffer, data) {
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
}

/** A context; smooth edges only where a graphics card draws them, since in software they cost more than all the rest.

    Raises: when the browser gives no WebGL 2. */
export function context(canvas) {
  const gl = canvas.getContext('webgl2', { alpha: false, stencil: true, preserveDrawingBuffer: false, antialias: !inSoftware() });
  if (!gl) throw new Error('no WebGL 2');
  return gl;
}

let software = null;

/** Whether a processor draws, asked once of a canvas that nobody sees. */
function inSoftware() {
  if (software !== null) return software;
  const gl = document.createElement('canvas').getContext('webgl2', { failIfMajorPerformanceCaveat: true });
  const told = gl?.getExtension('WEBGL_debug_renderer_info');
  software = !gl || /swiftshader|llvmpipe|softpipe|software|basic render/i.test(told ? gl.getParameter(told.UNMASKED_RENDERER_WEBGL) : '');
  gl?.getExtension('WEBGL_lose_context')?.loseContext();
  return software;
}
